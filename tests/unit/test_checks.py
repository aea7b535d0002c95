import pytest

from ingest.checks import check, make_directory
from ingest.decoders import Decoded
from water.meters import KnownMeter
from water.policy import Policy
from water.readings import Reading
from water.refusals import Refusal

NOW = 1_767_200_000
METER = KnownMeter("m1", "north", 99_999.0, 12.5, NOW - 86_400, NOW + 86_400)
OTHER = METER._replace(meter_id="m2", supplier_id="south", modulus_m3=None)
DIRECTORY = make_directory(
    1,
    frozenset({"north", "south"}),
    {("north", "wmbusmeters", "33225544"): METER, ("south", "jieshui", "m2"): OTHER},
)


def judge(decoded, supplier="north", dialect="jieshui"):
    return check(decoded, supplier, dialect, NOW, DIRECTORY, Policy())


def test_a_good_reading_keeps_all_that_it_carries():
    decoded = Decoded("m1", NOW, 12.5, 1.25, 0.3, 4.5, 2)
    assert judge(decoded) == Reading("m1", NOW, NOW, 12.5, 1.25, 0.3, 4.5, 2)


def test_a_meter_answers_to_its_address_of_a_dialect():
    reading = judge(Decoded("33225544", NOW, 1.0), dialect="wmbusmeters")
    assert isinstance(reading, Reading)
    assert reading.meter_id == "m1"


REFUSED = [
    ("what the decoder refused", Decoded("m1", None, refusal=Refusal.NO_TIME), Refusal.NO_TIME),
    ("unknown meter", Decoded("m9", NOW, 1.0), Refusal.UNKNOWN_METER),
    ("another supplier's meter", Decoded("m2", NOW, 1.0), Refusal.OTHER_SUPPLIERS_METER),
    ("six minutes ahead", Decoded("m1", NOW + 360, 1.0), Refusal.FUTURE),
    ("three years and a day", Decoded("m1", NOW - 1_101 * 86_400, 1.0), Refusal.TOO_OLD),
    ("before service", Decoded("m1", NOW - 86_401, 1.0), Refusal.OUT_OF_SERVICE),
    ("negative register", Decoded("m1", NOW, -0.001), Refusal.NEGATIVE_REGISTER),
    ("beyond the dial", Decoded("m1", NOW, 99_999.0), Refusal.BEYOND_DIAL),
    ("pressure of 100 MPa", Decoded("m1", NOW, None, None, 100.0), Refusal.OUT_OF_RANGE),
    ("flow of a river", Decoded("m1", NOW, None, 1e7), Refusal.OUT_OF_RANGE),
]


@pytest.mark.parametrize(("_", "decoded", "reason"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_reading_is_refused_with_its_own_reason(_, decoded, reason):
    assert judge(decoded)[0] is reason


def test_the_edges_of_what_is_allowed_are_allowed():
    for decoded in (
        Decoded("m1", NOW + 300, 1.0),
        Decoded("m1", NOW - 86_400, 0.0),
        Decoded("m1", NOW, 99_998.999),
        Decoded("m1", NOW, None, -1.0),
    ):
        assert isinstance(judge(decoded), Reading)


def test_a_register_that_no_dial_shows_is_out_of_range():
    assert judge(Decoded("m2", NOW, 1e13), supplier="south")[0] is Refusal.OUT_OF_RANGE
