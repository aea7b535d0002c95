"""The resources of edits: what people say about readings, conflicts and meter changes."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.models import Conflict
from api.parameters import Instant, Text
from water.edits import Decision, EditKind

Said = Annotated[Text, Field(min_length=1, max_length=2000, description="原因（必填） why")]
Quantity = Annotated[float | None, Field(allow_inf_nan=False)]


class Quantities(BaseModel):
    """数值 Quantities in their base units; null = not set."""

    register_m3: Quantity = None
    flow_m3_h: Quantity = None
    pressure_mpa: Quantity = None
    level_m: Quantity = None


class NewEdit(Quantities):
    """新修改 manual 人工抄表, correction 更正, estimate 估抄, void 作废 (sets no quantity)."""

    model_config = ConfigDict(extra="forbid")

    at: Instant
    kind: EditKind
    reason: Said
    evidence: Text = Field("", max_length=2000, description="照片、工单等 where the proof lies")


class Edit(Quantities):
    """读数修改 An edit laid over a meter's readings; only approved ones count."""

    id: int
    meter_id: str
    at: datetime
    version: int = Field(description="同一时刻的第几次修改 which edit of this instant")
    kind: str
    state: str = Field(description="proposed 待审, approved 生效, withdrawn 已撤回")
    reason: str
    evidence: str
    author: str
    made_at: datetime
    approver: str | None
    approved_at: datetime | None
    withdrawn_by: str | None
    withdrawn_at: datetime | None
    withdrawn_reason: str | None


class Withdrawal(BaseModel):
    """撤回原因 Why an edit is withdrawn."""

    reason: Said


class ConflictState(Conflict):
    """冲突及处理结果 A conflict; `decision` null = nobody decided yet, and its register is out."""

    decision: str | None = Field(None, description="keep 保留先到值, take 采用后到值")
    reason: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    edit_id: int | None = Field(None, description="采用后到值所作的更正 the correction it became")


class ConflictDecision(BaseModel):
    """处理冲突 Which value of a conflict holds."""

    model_config = ConfigDict(extra="forbid")

    meter_id: Text = Field(max_length=200)
    at: Instant
    quantity: Text = Field(max_length=50)
    offered: float = Field(allow_inf_nan=False)
    decision: Decision
    reason: Said


class NewMeterChange(BaseModel):
    """登记换表 A meter change: the old dial's last index and the new one's first."""

    model_config = ConfigDict(extra="forbid")

    at: Instant
    old_final_m3: float = Field(ge=0, allow_inf_nan=False)
    new_initial_m3: float = Field(ge=0, allow_inf_nan=False)
    reason: Said


class MeterEvent(BaseModel):
    """上报的换表 A meter change that a supplier sent, and what became of it."""

    id: int
    supplier_id: str
    state: str = Field(description="applied 已登记, open 待处理, kept 未采用, refused 拒绝")
    refusal: str
    detail: str
    meter_id: str | None
    at: datetime | None
    old_final_m3: float | None
    new_initial_m3: float | None
    reason: str
    count: int = Field(description="上报次数 how often it was sent; of refused ones, how many")
    received_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decided_reason: str | None


class EventDecision(BaseModel):
    """处理上报的换表 Whether the change that stands holds (keep) or the one sent (take)."""

    model_config = ConfigDict(extra="forbid")

    decision: Decision
    reason: Said
