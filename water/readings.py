"""One reading of one meter at one instant."""

from enum import IntFlag
from typing import NamedTuple

QUANTITIES = ("register_m3", "flow_m3_h", "pressure_mpa", "level_m")
"""The measured quantities of a reading, in the order in which they are stored."""


class Quality(IntFlag):
    """What is said about a reading beside its values (a bit mask, 0 = nothing said).

    Those of the device or its platform, and HISTORY, are stored. ESTIMATED, ENTERED and OVERRULED
    are what people's edits say: they stand only where edits are laid over readings.
    """

    NONE = 0
    DEVICE_ALARM = 1
    """The device reports a fault, leak, burst, tamper or reverse-flow bit."""
    LOW_BATTERY = 2
    CLOCK_ASSUMED = 4
    """The payload carried no instant of measurement; the platform's or our arrival time stands."""
    EMPTY_PIPE = 8
    ESTIMATED = 16
    """The register is an approved estimate."""
    ENTERED = 32
    """No meter sent a reading of this instant: a person entered it."""
    OVERRULED = 64
    """The register that the meter sent was corrected or voided by people."""
    HISTORY = 128
    """It came from a file of history: its arrival is the import's, and tells nothing of a delay."""


_HISTORY = int(Quality.HISTORY)  # as an IntFlag each operation takes many times as long


def merge_arrivals(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """What two arrivals of one reading, (received_at, quality) each, come to in whichever order.

    The earliest arrival stands, and HISTORY is its own: a reading that came live keeps its delay
    when a file repeats it. The other bits of quality add up.
    """
    # In the same second the live one counts as the earlier.
    received_at, history = min((one[0], one[1] & _HISTORY), (other[0], other[1] & _HISTORY))
    return received_at, (one[1] | other[1]) & ~_HISTORY | history


class Reading(NamedTuple):
    """A reading: identity is (meter_id, at); at least one quantity is not None.

    A tuple, because a city sends hundreds of thousands of them a second after an outage.
    Units: register m³ (the cumulative dial), flow m³/h (rate), pressure MPa, level m.
    `at` (when it was true) and `received_at` (when we heard) are whole epoch seconds, UTC.
    """

    meter_id: str
    at: int
    received_at: int
    register_m3: float | None = None
    flow_m3_h: float | None = None
    pressure_mpa: float | None = None
    level_m: float | None = None
    quality: int = 0
