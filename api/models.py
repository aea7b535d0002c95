"""The resources of the API, one model a row; a volume of null means that nothing is known.

Units are in the names: m3, m3_h, mpa, m, km. Rates and shares are fractions of one.
"""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.parameters import Instant, Text
from water.viewer import Role


class Me(BaseModel):
    """当前身份 Who asks."""

    name: str
    role: str
    scope: str | None = Field(description="供水单位或用水户编号 id of the supplier or user")
    must_change: bool = Field(False, description="须先修改密码 the password must be changed first")


class LogIn(BaseModel):
    """登录 Log-in and password."""

    login: Text = Field(min_length=1, max_length=200)
    password: Text = Field(min_length=1, max_length=1000)


class PasswordChange(BaseModel):
    """修改密码 The old and the new password."""

    old: Text = Field(min_length=1, max_length=1000)
    new: Text = Field(min_length=1, max_length=1000)


class Shares(BaseModel):
    """时间占比 Shares of a period's time: measured, interpolated over a gap, unknown."""

    measured_share: float | None = None
    estimated_share: float | None = None
    missing_share: float | None = None


class PlanExecution(Shares):
    """计划执行 Use against the plan of a year."""

    year: int
    as_of: datetime | None = None
    plan_m3: float | None = None
    plan_to_date_m3: float | None = None
    used_m3: float | None = None
    use_rate: float | None = Field(None, description="用量/进度计划 used / plan to date")
    projected_m3: float | None = None
    projected_rate: float | None = Field(None, description="预计/年计划 projected / year's plan")
    level: str | None = Field(
        None, description="notice 蓝, warning 黄, formal 橙, red 红, or empty"
    )


class UserName(BaseModel):
    """用水户 Which water user; `id` is its 户号."""

    id: str
    name: str
    sector: str


class PlanStatus(PlanExecution, UserName):
    """用水户计划执行 A user's use against its plan."""


class UserFacts(UserName):
    """用水户 A water user."""

    credit_code: str
    township: str
    annual_volume_m3: float | None
    contact: str


class User(PlanExecution, UserFacts):
    """用水户及计划执行 A water user with its plan status of the year."""


class Meter(BaseModel):
    """水表 A water meter."""

    id: str
    supplier_id: str
    role: str
    serial: str
    user_id: str | None
    zone_id: str | None
    modulus_m3: float | None
    q3_m3_h: float | None
    interval_s: int
    in_service_from: datetime | None
    in_service_to: datetime | None


class Plan(BaseModel):
    """用水计划 A version of a plan; the highest is in force."""

    year: int
    version: int
    months_m3: list[float]
    year_m3: float
    issued_by: str
    issued_on: date | None
    reason: str


class UserDetail(UserFacts):
    """用水户详情 A user with its meters, plans and plan status by year."""

    meters: list[Meter]
    plans: list[Plan]
    plan_status: list[PlanExecution]


class Zone(BaseModel):
    """独立计量区 A zone with its latest night and its last 30 days."""

    id: str
    name: str
    parent_id: str | None
    mains_km: float | None
    connections: int | None
    pressure_mpa: float | None
    night_day: date | None
    minimum_night_flow_m3_h: float | None
    night_use_m3_h: float | None
    net_night_flow_m3_h: float | None
    baseline_m3_h: float | None
    inflow_m3: float | None
    large_use_m3: float | None
    gross_loss_share: float | None = Field(
        description="(进水−大户用水)/进水，漏损上限 (inflow − large use) / inflow: an upper bound"
    )
    gross_loss_days: int = Field(
        description="参与计算的完整日数 whole days that these figures cover"
    )


class ZoneDay(Shares):
    """分区日水量 Net inflow and large users' use of a zone on a local day."""

    day: date
    inflow_m3: float | None
    large_use_m3: float | None


class ZoneNight(BaseModel):
    """分区夜间流量 The night of a zone; `start` is the hour of the minimum."""

    day: date
    start: datetime | None
    minimum_night_flow_m3_h: float | None
    night_use_m3_h: float | None
    net_night_flow_m3_h: float | None
    baseline_m3_h: float | None
    measured_share: float | None


class Device(BaseModel):
    """设备地址 The address of a meter in a dialect."""

    supplier_id: str
    dialect: str
    address: str


class MeterChange(BaseModel):
    """换表 The change of a meter."""

    at: datetime
    old_final_m3: float
    new_initial_m3: float
    reason: str


class Verdict(BaseModel):
    """校核结论 A reading that the series check did not call good."""

    at: datetime
    verdict: str


class MeterDetail(Meter):
    """水表详情 A meter with its addresses, changes and newest verdicts."""

    devices: list[Device]
    changes: list[MeterChange]
    verdicts: list[Verdict]


class Reading(BaseModel):
    """读数 A reading."""

    meter_id: str
    at: datetime
    received_at: datetime
    register_m3: float | None = None
    flow_m3_h: float | None = None
    pressure_mpa: float | None = None
    level_m: float | None = None
    quality: int = Field(
        0,
        description="位掩码 bit mask: 1 alarm, 2 battery, 4 clock, 8 empty pipe, 128 of a file",
    )


class SeriesPoint(BaseModel):
    """曲线点 A point of a thinned series."""

    at: datetime
    value: float | None


class HourlyVolume(Shares):
    """小时水量 The volume of a meter in an hour."""

    meter_id: str
    start: datetime
    volume_m3: float | None


class DailyVolume(Shares):
    """日水量 The volume of a meter on a local day."""

    meter_id: str
    day: date
    volume_m3: float | None
    lowest_hour_m3: float | None = None


class Alert(BaseModel):
    """预警 An alert with its evidence: figures, thresholds, reading times, shares."""

    id: int
    rule: str
    subject_kind: str
    subject_id: str
    period: str
    state: str
    severity: str
    level: str
    since: datetime | None
    opened_at: datetime
    fired_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    seen_at: datetime
    evidence: dict[str, Any]


class AlertEvent(BaseModel):
    """预警经过 A step in the life of an alert."""

    id: int
    at: datetime
    from_state: str | None
    to_state: str
    actor: str
    reason: str


class Notice(BaseModel):
    """通知 A message about an alert and how its delivery stands."""

    id: int
    audience: str
    title: str
    body: str
    state: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    sent_at: datetime | None
    error: str | None


class AlertDetail(Alert):
    """预警详情 An alert with its events and notices."""

    events: list[AlertEvent]
    notices: list[Notice]


class Reason(BaseModel):
    """理由 Why somebody did something."""

    reason: Text = Field("", max_length=2000)


class CityRate(BaseModel):
    """城市漏损率 Loss rates of the city over a period (CJJ 92), fractions and m³."""

    period: str
    as_of: datetime
    system_input_m3: float
    authorised_m3: float
    losses_m3: float
    gross_rate: float | None = Field(description="综合漏损率 gross water loss rate")
    rate: float | None = Field(description="漏损率（修正后） corrected water loss rate")
    corrections: dict[str, Any]
    provisional: bool


class Home(BaseModel):
    """首页 The figures of the first page, of what the asker sees."""

    users: int
    over: int
    at_risk: int
    plan_used_m3: float | None
    plan_to_date_m3: float | None
    alerts: dict[str, int]
    day: date | None
    day_supply_m3: float | None
    day_large_use_m3: float | None
    month: date | None
    month_supply_m3: float | None
    month_large_use_m3: float | None
    arrival_day: date | None
    arrival_rate: float | None
    city_rates: list[CityRate]
    as_of: datetime | None = Field(
        description="计算时刻，非最新读数时刻 when this was computed, not the newest reading"
    )


class Job(BaseModel):
    """任务 Work that another process was asked for."""

    id: int
    kind: str
    state: str
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
    arguments: dict[str, Any]
    outcome: dict[str, Any] | None


class JobAsked(BaseModel):
    """已提交任务 The id of a job that was asked for."""

    id: int


class QuarantineRerun(BaseModel):
    """隔离重放 Which quarantined readings to try again; empty means any."""

    model_config = ConfigDict(extra="forbid")

    supplier: Text = Field("", max_length=200)
    reason: Text = Field("", max_length=200)
    ids: list[Annotated[int, Field(ge=1, lt=2**63)]] = Field(
        [], max_length=10_000, description="隔离编号 ids of the quarantine"
    )


class NewReplay(BaseModel):
    """重放 Which messages to judge anew: those that arrived with start <= received < end."""

    model_config = ConfigDict(extra="forbid")

    start: Instant = Field(description="接收时间起 arrived from then on")
    end: Instant = Field(description="接收时间止 and before then")
    supplier: Text = Field("", max_length=200, description="仅此供水单位 only this supplier's")
    undecodable: bool = Field(
        False, description="仅原先无法解析的报文 only messages that were counted as undecodable"
    )


class Replay(BaseModel):
    """重放 A replay, or the adoption of one, summed up over all workers."""

    id: int
    adopts: int | None = Field(description="所采纳的重放 the replay that this one adopts")
    state: str
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
    start: datetime | None
    end: datetime | None
    supplier: str
    undecodable: bool
    progress: float = Field(description="进度 0 to 1")
    kept_from: datetime | None = Field(
        description="日志最早保留时间，仅当晚于 start 时给出 from when messages are kept, if later"
    )
    messages: dict[str, int] = Field(
        description="read, decoded, undecodable, set_aside, newly_decoded, no_longer_decoded"
    )
    readings: dict[str, int] = Field(
        description="new, completed, changed, known_conflict, unchanged, refused"
    )
    from_quarantine: int = Field(description="现可通过的隔离读数 in quarantine, and passing today")
    unmatched: int = Field(
        description="报文中已无对应的隔离读数 staying in quarantine: given no more"
    )
    became: dict[str, int] = Field(description="采纳结果 what the adopted readings became")
    moved: list[dict[str, Any]] = Field(
        description="报文去向 how messages would be counted: from, to, count"
    )
    gone: list[dict[str, Any]] = Field(
        description="原读数不再给出的报文 messages whose readings of then are given no more, and "
        "stay stored: supplier, now (what the message counts as today), messages"
    )
    sample: dict[str, list[dict[str, Any]]] = Field(description="示例 some of each kind")
    errors: list[str]
    parts: dict[str, str] = Field(description="其他进程 state at other workers, by their journal")


class Account(BaseModel):
    """账号 A person's account."""

    login: str
    name: str
    role: str
    scope: str | None
    must_change: bool
    disabled: bool
    created_at: datetime


class NewAccount(BaseModel):
    """新账号 An account to be made."""

    login: Text = Field(min_length=1, max_length=200)
    name: Text = Field(min_length=1, max_length=200)
    role: Role
    scope: Text | None = Field(None, max_length=200)


class OneTimePassword(BaseModel):
    """一次性密码 Must be changed at the first log-in; shown this once."""

    login: str
    password: str


class Key(BaseModel):
    """接口密钥 An API key, without the key itself."""

    id: str
    name: str
    role: str
    scope: str | None
    created_at: datetime
    revoked_at: datetime | None


class NewKey(BaseModel):
    """新密钥 A key to be made."""

    name: Text = Field(min_length=1, max_length=200)
    role: Role
    scope: Text | None = Field(None, max_length=200)


class KeyOnce(BaseModel):
    """密钥 The key itself, shown this once."""

    id: str
    key: str


class Messages(BaseModel):
    """报文对账 received = decoded + undecodable + set_aside + waiting."""

    received: int
    decoded: int
    undecodable: int
    set_aside: int
    waiting: int
    balanced: bool


class Readings(BaseModel):
    """读数对账 decoded = stored + duplicate + conflict + quarantined + waiting."""

    decoded: int
    stored: int
    duplicate: int
    conflict: int
    quarantined: int
    waiting: int
    balanced: bool


class CountedReason(BaseModel):
    """原因计数 How often something was not stored for a reason."""

    ledger: str = Field(description="messages or readings")
    account: str
    reason: str
    count: int


class SupplierSums(BaseModel):
    """接入对账 Both sums of a supplier with their reasons, and whether they balance."""

    supplier: str
    balanced: bool
    messages: Messages
    readings: Readings
    reasons: list[CountedReason]


class Conflict(BaseModel):
    """冲突 A value that came where another one stood; the one that was first is kept."""

    meter_id: str
    at: datetime
    quantity: str
    kept: float
    offered: float
    received_at: datetime = Field(description="后到值的接收时间 when the other one was received")


class Quarantined(BaseModel):
    """隔离读数 A refused reading: why, and where it lies in the journal."""

    id: int
    supplier: str
    reason: str
    detail: str
    dialect: str
    address: str
    at: datetime | None
    received_at: datetime | None
    segment: int
    offset: int
    part: int
    journal: str = Field("ingest", description="所在日志 which worker's journal it lies in")
