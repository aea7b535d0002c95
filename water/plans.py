"""The water-use plan 用水计划 and the utility's monthly return 月报."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: twelve monthly volumes in m³. Versions are kept; the highest is in force."""

    user_id: str
    year: int
    months_m3: tuple[float, ...]
    version: int = 1
    issued_by: str = ""
    issued_on: date | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse a plan that has not twelve months."""
        if len(self.months_m3) != 12:
            raise ValueError(f"a plan has 12 months, not {len(self.months_m3)}")

    @property
    def year_m3(self) -> float:
        """The plan of the whole year, m³."""
        return sum(self.months_m3)


@dataclass(frozen=True, slots=True)
class MonthlyReturn:
    """The utility's return for one month (fields of the MOHURD DMA guide, all m³ but the last two).

    `month` is its first day. System input = own + purchased; authorised = billed + free.
    `household_m3` 居民抄表到户水量 is a part of `billed_metered_m3`; `mains_km` is the length of
    pipes of DN75 and larger; `outlet_pressure_mpa` the supply-weighted mean outlet pressure.
    """

    month: date
    own_m3: float
    purchased_m3: float
    billed_metered_m3: float
    billed_unmetered_m3: float
    free_metered_m3: float
    free_unmetered_m3: float
    household_m3: float
    mains_km: float
    outlet_pressure_mpa: float

    @property
    def system_input_m3(self) -> float:
        """供水总量 Qs, m³."""
        return self.own_m3 + self.purchased_m3

    @property
    def authorised_m3(self) -> float:
        """注册用户用水量 Qa, m³."""
        return (
            self.billed_metered_m3
            + self.billed_unmetered_m3
            + self.free_metered_m3
            + self.free_unmetered_m3
        )
