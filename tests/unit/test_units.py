"""Numbers of other units are brought into ours exactly, and rounded once."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.decoders.decoded import Decoded
from ingest.decoders.units import UNITS, in_our_units, rescale
from water.refusals import Refusal


@given(
    st.floats(min_value=-1e300, max_value=1e300), st.sampled_from([u.size for u in UNITS.values()])
)
def test_a_number_is_the_nearest_one_to_its_exact_size(number, size):
    assert rescale(number, size) == float(Fraction(number) * size)


def test_5938_litres_are_5_938_m3():
    assert rescale(5938.0, UNITS["l"].size) == 5.938


@pytest.mark.parametrize("number", [1e308, -1e308])
def test_a_flow_that_no_number_can_hold_is_refused(number):
    reading = in_our_units(Decoded("m", 7, flow_m3_h=number), {"flow_m3_h": UNITS["m3/s"].size})
    assert reading == Decoded("m", 7, refusal=Refusal.NOT_FINITE, detail="beyond any number")


def test_only_the_named_quantities_of_a_reading_are_rescaled():
    reading = Decoded("m", 7, 5938.0, 2.0, None, 1.5, 4)
    litres = in_our_units(reading, {"register_m3": Fraction(1, 1000), "pressure_mpa": Fraction(2)})
    assert litres == Decoded("m", 7, 5.938, 2.0, None, 1.5, 4)
