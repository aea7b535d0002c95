"""What no meter of a city reports; what is unlikely for one meter is the series check's to say."""

from water.refusals import Refusal

HIGHEST_REGISTER_M3 = 1e12
FASTEST_M3_H = 1e6
LOWEST_MPA, HIGHEST_MPA = -0.1, 10.0
LOWEST_M, HIGHEST_M = -100.0, 1_000.0


def check_quantities(
    register: float | None,
    modulus: float | None,
    flow: float | None,
    pressure: float | None,
    level: float | None,
) -> tuple[Refusal, str] | None:
    """Why one of these finite quantities can't be, with a detail for people; None: all can be.

    Units as in water.readings; `modulus` (m³) is where the dial begins again at 0, None = never.
    """
    if register is not None:
        if register < 0:
            return Refusal.NEGATIVE_REGISTER, f"register_m3 {register}"
        if modulus is not None and register >= modulus:
            return Refusal.BEYOND_DIAL, f"register_m3 {register}, dial ends at {modulus}"
        if register > HIGHEST_REGISTER_M3:
            return Refusal.OUT_OF_RANGE, f"register_m3 {register}"
    if flow is not None and not -FASTEST_M3_H <= flow <= FASTEST_M3_H:
        return Refusal.OUT_OF_RANGE, f"flow_m3_h {flow}"
    if pressure is not None and not LOWEST_MPA <= pressure <= HIGHEST_MPA:
        return Refusal.OUT_OF_RANGE, f"pressure_mpa {pressure}"
    if level is not None and not LOWEST_M <= level <= HIGHEST_M:
        return Refusal.OUT_OF_RANGE, f"level_m {level}"
    return None
