"""District metered areas 独立计量区 and the works that explain their flows."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone (DMA): mains in km, service connections, mean night pressure in MPa."""

    id: str
    name: str
    parent_id: str | None = None
    mains_km: float | None = None
    connections: int | None = None
    pressure_mpa: float | None = None


class WorksKind(StrEnum):
    """What was done in a zone (工况登记)."""

    FLUSHING = "flushing"
    FIRE = "fire"
    VALVE = "valve"
    REPAIR = "repair"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Works:
    """Works in a zone from `begins` to `ends` (UTC) that explain an unusual flow."""

    zone_id: str
    kind: WorksKind
    begins: datetime
    ends: datetime
    note: str = ""
