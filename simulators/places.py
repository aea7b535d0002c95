"""The ten zones and the four suppliers of the virtual city: constants, with their reasons."""

from dataclasses import dataclass

CITY_ZONE = "Asia/Shanghai"
CITY_OUTLET_PRESSURE_MPA = 0.41


@dataclass(frozen=True, slots=True)
class Place:
    """A zone and the townships whose users lie in it; row i carries the inflow of district i + 1.

    Attributes:
        id: zone id.
        name: name on the dashboard.
        township: where its users are registered.
        mains_km: length of its mains, km.
        connections: service connections.
        pressure_mpa: mean night pressure, MPa.
        inlet_shares: share of the supply that each inlet meter passes (sum 1).
        passed_on: water that leaves by the outlet meter, as a share of the zone's own real
            demand; 0 = the zone has no outlet.
    """

    id: str
    name: str
    township: str
    mains_km: float
    connections: int
    pressure_mpa: float
    inlet_shares: tuple[float, ...] = (1.0,)
    passed_on: float = 0.0


PLACES = (
    Place("Z01", "稠城片区", "稠城街道", 18.6, 1_420, 0.31),
    Place("Z02", "稠江片区", "稠江街道", 21.3, 1_680, 0.30),
    Place("Z03", "城西片区", "城西街道", 14.8, 760, 0.29),
    Place("Z04", "江东片区", "江东街道", 46.2, 4_350, 0.32, (0.64, 0.36)),
    Place("Z05", "北苑片区", "北苑街道", 88.5, 4_980, 0.33, (0.48, 0.31, 0.21)),
    Place("Z06", "后宅片区", "后宅街道", 19.7, 1_290, 0.28),
    Place("Z07", "福田片区", "福田街道", 37.4, 3_480, 0.31, (0.57, 0.43)),
    Place("Z08", "廿三里片区", "廿三里街道", 33.9, 2_910, 0.30),
    Place("Z09", "佛堂片区", "佛堂镇", 35.1, 2_870, 0.29, passed_on=0.17),
    Place("Z10", "苏溪片区", "苏溪镇", 39.8, 3_260, 0.30),
)

BURST_ZONES = ("Z02", "Z05", "Z07", "Z08")
"""Where a burst may be planted: districts whose own nights are quiet enough to tell a planted
step from what really happened there. Rule: the robust spread of the night minima (1.4826 × median
of |minimum − its 28-night rolling median|) over the demo's year is at most 2.5 % of the mean
inflow. District 5: 0.9 %, 8: 2.0 %, 2: 2.2 %, 7: 2.3 %; the others 2.9 % (10) to 13 % (1)."""


@dataclass(frozen=True, slots=True)
class Supplier:
    """Who streams readings, and how its messages look.

    `share` is the share of the large users whose meters it owns. A `dirty` supplier also sends
    garbage, exact duplicates and late data.
    """

    id: str
    name: str
    dialect: str
    share: float
    dirty: bool = False


MAIN = Supplier("yw-group", "义乌市水务集团有限公司", "jieshui", 0.0)
"""Owns the zone meters and the meters of all users that no other supplier owns."""
WMBUS = Supplier("houzhai-water", "后宅自来水有限公司", "wmbusmeters", 0.04)
LORA = Supplier("niansanli-water", "廿三里供水有限公司", "chirpstack", 0.16)
DIRTY = Supplier("suxi-water", "苏溪供水有限公司", "jieshui", 0.05, dirty=True)

SUPPLIERS = (MAIN, WMBUS, LORA, DIRTY)
