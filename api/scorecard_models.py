"""What the API says of a supplier's scorecard."""

from datetime import date, datetime

from pydantic import BaseModel, Field

from api.models import CountedReason


class SilentMeter(BaseModel):
    """静默水表 A meter in service from which nothing arrived for three intervals and a day."""

    meter_id: str
    received_at: datetime | None = Field(description="最后一次收到数据 null = never")
    interval_s: int


class Scorecard(BaseModel):
    """数据质量计分卡 A supplier's data over local days; shares are null where nothing came."""

    supplier: str
    name: str
    first: date
    last: date
    as_of: datetime
    meters: int = Field(description="登记的水表 its registered meters")
    expected: int
    received: int
    valid: int
    arrival_rate: float | None = Field(description="数据到报率 received / expected")
    completeness: float | None = Field(description="数据完整率 valid / expected")
    delay_p50_s: float | None = Field(description="时延中位数 half arrived within it")
    delay_p95_s: float | None = Field(description="时延 P95: 95 % arrived within it")
    clock_skew_s: float | None = Field(
        description="时钟偏差 median over meters of the least delay; < 0 = clocks ahead"
    )
    counted_from: date | None = Field(
        description="计数起始日 the counts below begin here; null = all since counting began"
    )
    counted_until: date | None = Field(
        description="计数截止日 the counts end with this day's last evaluation; null = none kept"
    )
    messages: int
    undecodable: int
    undecodable_share: float | None = Field(description="无法解码 / 收到报文")
    decoded: int
    duplicate: int
    duplicate_share: float | None = Field(description="重复 / 已解码读数")
    conflict: int
    conflict_share: float | None
    quarantined: int
    quarantined_share: float | None = Field(description="隔离（被拒）/ 已解码读数 refused")
    since: dict[str, int] = Field(
        description="计数截止日之后至今的计数 counted after the last evaluation of `counted_until` "
        "(null: from the beginning) until now: messages, undecodable, decoded, quarantined"
    )
    reasons: list[CountedReason]
    silent: int = Field(description="现在静默的水表 meters silent now")
    silent_meters: list[SilentMeter] = Field(
        description="静默最久的至多 1000 块 the longest silent ones, 1000 at most"
    )
