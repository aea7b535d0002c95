"""Water users 用水户 and their sectors."""

from dataclasses import dataclass
from enum import StrEnum


class Sector(StrEnum):
    """What a user does with water; names the shape of its week and the norm it is held to."""

    MARKET = "market"
    TEXTILE = "textile"
    PRINTING = "printing"
    FOOD = "food"
    MACHINERY = "machinery"
    HOTEL = "hotel"
    SCHOOL = "school"
    HOSPITAL = "hospital"
    OFFICE = "office"
    RESIDENTIAL = "residential"
    OTHER = "other"

    @property
    def industrial(self) -> bool:
        """Whether plan management from 5,000 m³/a applies (task table: industry)."""
        return self in {Sector.TEXTILE, Sector.PRINTING, Sector.FOOD, Sector.MACHINERY}


@dataclass(frozen=True, slots=True)
class WaterUser:
    """A water user 用水户: `id` is its 户号, `credit_code` its 统一社会信用代码.

    `annual_volume_m3` is the class-giving use of the last full year, as registered.
    """

    id: str
    name: str
    sector: Sector
    credit_code: str = ""
    township: str = ""
    annual_volume_m3: float | None = None
    contact: str = ""
