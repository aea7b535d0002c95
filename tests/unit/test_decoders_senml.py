"""SenML: packs of the form of the examples in RFC 8428 section 5.1, with units of water."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.decoders import DIALECTS, Decoded, Unreadable
from water.refusals import Refusal, SetAside, Undecodable

decode = DIALECTS["senml"]
ARRIVED = 1_789_430_407
AT = 1_276_020_076  # the bt of section 5.1.2, 1.276020076001e+09
CLOCK_ASSUMED = 4
NAME = "urn:dev:ow:10e2073a0108006:"


def read(*records: dict) -> list[Decoded] | SetAside:
    return decode("x", json.dumps(records).encode(), ARRIVED)


def test_base_values_hold_from_their_record_on():
    readings = read(
        {"bn": NAME, "bt": 1.276020076001e09, "bu": "l", "bver": 5, "n": "in", "v": 5938},
        {"n": "out", "t": -5, "v": 1},
        {"bn": "urn:dev:mac:0024befffe804ff1/", "n": "p", "u": "kPa", "v": 300},
        {"bu": "m", "n": "tank", "t": 1, "v": 2.5},
        {"bt": 1.3e9, "v": 3},
    )
    assert readings == [
        Decoded(NAME + "in", AT, 5.938),
        Decoded(NAME + "out", AT - 5, 0.001),
        Decoded("urn:dev:mac:0024befffe804ff1/p", AT, pressure_mpa=0.3),
        Decoded("urn:dev:mac:0024befffe804ff1/tank", AT + 1, level_m=2.5),
        Decoded("urn:dev:mac:0024befffe804ff1/", 1_300_000_000, level_m=3.0),
    ]


def test_a_base_value_is_added_and_a_missing_one_is_zero():
    readings = read({"n": "a", "bu": "m3", "bt": AT, "bv": 1000, "v": 0.5}, {"n": "b", "v": -1},
                    {"n": "c", "bv": 0, "v": 7})  # fmt: skip
    assert [reading.register_m3 for reading in readings] == [1000.5, 999.0, 7.0]


def test_the_sum_of_a_flow_is_its_register():
    readings = read({"n": "a", "u": "m3/s", "t": AT, "v": 0.001, "s": 86_400},
                    {"n": "b", "u": "l/s", "t": AT, "bs": 1_000_000, "s": 5_938},
                    {"n": "c", "u": "m3/h", "t": AT, "v": 2, "bs": 3_600_000})  # fmt: skip
    assert readings == [Decoded("a", AT, 86_400.0, 3.6), Decoded("b", AT, 1_005.938),
                        Decoded("c", AT, 1_000.0, 2.0)]  # fmt: skip


@pytest.mark.parametrize(
    ("times", "at", "quality"),
    [
        ({}, ARRIVED, CLOCK_ASSUMED),
        ({"t": 0}, ARRIVED, CLOCK_ASSUMED),
        ({"bt": -60, "t": -1.5}, ARRIVED - 62, CLOCK_ASSUMED),
        ({"t": 2**28}, 2**28, 0),
        ({"bt": 2**28, "t": -1}, ARRIVED + 2**28 - 1, CLOCK_ASSUMED),
        ({"bt": AT, "t": 0.9}, AT, 0),
    ],
    ids=["none", "zero", "seconds ago", "the first absolute one", "the last relative one", "sum"],
)
def test_a_small_time_counts_from_the_arrival(times, at, quality):
    assert read({"n": "a", "u": "m3", "v": 1, **times}) == [Decoded("a", at, 1.0, quality=quality)]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"v": "1.5"}, Decoded("a", AT, refusal=Refusal.NOT_A_NUMBER, detail="['1.5']")),
        ({"v": True}, Decoded("a", AT, refusal=Refusal.NOT_A_NUMBER, detail="[True]")),
        ({"v": float("nan")}, Decoded("a", AT, refusal=Refusal.NOT_FINITE, detail="nan")),
        ({"bv": float("inf"), "v": 1}, Decoded("a", AT, refusal=Refusal.NOT_FINITE, detail="inf")),
        ({"v": 10**400}, Decoded("a", AT, refusal=Refusal.NOT_FINITE, detail="inf")),
        ({"v": 1, "t": "2026-09-15T00:00:00Z"},
         Decoded("a", None, refusal=Refusal.BAD_TIME, detail="['2026-09-15T00:00:00Z']")),
    ],
    ids=["text", "truth", "NaN", "infinite base", "400 digits", "time as text"],
)  # fmt: skip
def test_what_is_no_number_refuses_its_record_alone(record, expected):
    good = {"n": "b", "v": 1, "bv": 0, "t": 0}
    readings = read({"n": "a", "u": "m3", "bt": AT, **record}, {**good, "u": "m3"})
    assert readings == [expected, Decoded("b", AT, 1.0)]


def test_records_that_are_no_water_are_passed_over():
    readings = read({"bn": NAME, "bt": AT, "n": "t", "u": "Cel", "v": 18}, {"n": "n", "v": 3},
                    {"n": "s", "u": "m3", "vs": "ok"}, {"n": "ok", "u": "m3", "vb": True},
                    {"n": "none", "u": "m3", "v": None}, {"bv": 5, "bu": "m3"},
                    {"n": "total", "u": "m3", "v": 1})  # fmt: skip
    assert readings == [Decoded(NAME + "total", AT, 6.0)]


def test_an_empty_pack_is_set_aside():
    assert decode("x", b"[]", ARRIVED) is SetAside.EMPTY


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ((b'[{"bn":"urn:dev:ow:10e2073a01080063:","bt":1.320067464e+09,"bu":"%RH","v":20},'
         b'{"u":"lon","v":24.30621},{"u":"lat","v":60.07965},{"t":60,"v":20.3}]'),
         Undecodable.NO_QUANTITY),
        (b'[{"n":"a","v":1}]', Undecodable.NO_QUANTITY),
        (b'[{"n":"a","u":["m3"],"v":1}]', Undecodable.NO_QUANTITY),
        (b'[{"u":"m3","v":1}]', Undecodable.MALFORMED),
        (b'[{"n":7,"u":"m3","v":1}]', Undecodable.MALFORMED),
        (b'[{"n":"a","u":"m3","v":1,"must_":1}]', Undecodable.MALFORMED),
        (b'[{"n":"a","u":"m3","v":1,"bver":11}]', Undecodable.MALFORMED),
        (b'[{"n":"a","u":"m3","v":1,"bver":[10]}]', Undecodable.MALFORMED),
        (b'{"n":"a","u":"m3","v":1}', Undecodable.MALFORMED),
        (b"[1]", Undecodable.MALFORMED),
    ],
    ids=["the RFC's humidity", "no unit", "a list for a unit", "no name", "a number for a name",
         "a label that must be understood", "a later version", "a list for a version",
         "no array", "no records"],
)  # fmt: skip
def test_what_can_not_be_read_has_a_reason(payload, reason):
    with pytest.raises(Unreadable) as caught:
        decode("x", payload, ARRIVED)
    assert caught.value.reason is reason


def test_secondary_units_announce_themselves():
    assert read({"bver": 26, "n": "a", "u": "hPa", "t": AT, "v": 3000})[0].pressure_mpa == 0.3


@given(st.lists(st.tuples(st.integers(-1000, 1000), st.integers(0, 10**9)), min_size=1))
def test_a_pack_means_what_its_resolved_records_mean(rows):
    base = [{"bn": "a:", "bt": AT, "bu": "l", "bv": 1, "n": str(i), "t": t, "v": v}
            for i, (t, v) in enumerate(rows)]  # fmt: skip
    resolved = [{"n": f"a:{i}", "t": AT + t, "u": "l", "v": v + 1} for i, (t, v) in enumerate(rows)]
    assert read(*base) == read(*resolved)
