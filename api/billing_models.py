"""The resource of billing reads beside our volumes."""

from datetime import date

from pydantic import BaseModel, Field


class BillingComparison(BaseModel):
    """计费水量比对 A billed period beside our volume of the same local days."""

    meter_id: str
    first: date
    last: date
    billed_m3: float
    note: str
    volume_m3: float | None = Field(description="本平台水量 our volume")
    difference_m3: float | None = Field(description="本平台 − 计费 ours − billed")
    difference_share: float | None
    estimated_share: float
    missing_share: float
    state: str = Field(description="beyond 超差, within 相符, incomplete 数据不足")
