"""Of our own dialect the short way through a plain message gives what the long way gives."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.decoders import Unreadable
from ingest.decoders.jieshui import _decode_any, _decode_plain, decode

NUMBERS = st.one_of(
    st.none(), st.floats(), st.integers(), st.integers(-(10**400), 10**400), st.text(max_size=6),
    st.booleans(), st.sampled_from(["1.5", "nan", {"v": 1}, [1], 1e308, -0.0]),
)  # fmt: skip
INSTANTS = st.one_of(
    st.sampled_from(
        ["2026-01-01T00:15:00+08:00", "2026-01-01T00:15:00Z", "2026-01-01T00:15:00", "20260101",
         "1767197700", "never", "", None, True, 1767197700, 1767197700900, 1767197700.9]
    ),
    NUMBERS,
)  # fmt: skip
FIELDS = {
    "at": INSTANTS,
    "register_m3": NUMBERS,
    "flow_m3_h": NUMBERS,
    "pressure_mpa": NUMBERS,
    "level_m": NUMBERS,
    "meter": st.one_of(st.text(max_size=130), st.integers(), st.none(), st.just("表" * 130)),
    "simulated": st.sampled_from([True, False, None, "yes", 1]),
    "other": NUMBERS,
}
PLAIN = {
    "at": st.sampled_from(["2026-01-01T00:15:00+08:00", "2026-01-01T00:15:00Z"]),
    "register_m3": st.floats(allow_nan=False, allow_infinity=False),
    "flow_m3_h": st.integers(-100, 100),
}
READINGS = st.one_of(
    st.fixed_dictionaries({}, optional=FIELDS),
    st.builds(
        lambda plain, odd: plain | odd,
        st.fixed_dictionaries(PLAIN),
        st.fixed_dictionaries({}, optional=FIELDS),
    ),
    st.fixed_dictionaries(PLAIN),
)
LISTS = st.lists(READINGS, max_size=4)
MESSAGES = st.one_of(
    READINGS,
    LISTS,
    st.builds(lambda fields, readings: {**fields, "readings": readings}, READINGS,
              st.one_of(LISTS, st.none(), st.integers())),
)  # fmt: skip


def outcome(way, payload):
    try:
        return way(payload, "m1")
    except Unreadable as unreadable:
        return unreadable.reason, unreadable.detail


def shortest(payload, meter):
    return decode(f"{meter}/reading", payload, 0)


@given(MESSAGES, st.sampled_from(["", " ", "\n\t"]), st.integers(0, 60), st.integers(0, 30))
@example([], "", 0, 0)
@example({"readings": [], "simulated": True}, "", 0, 0)
@example({"readings": [{"at": 1, "register_m3": 1}], "simulated": True}, "", 0, 0)
@example({"readings": None, "at": "2026-01-01T00:15:00Z", "level_m": 1}, "", 0, 0)
@example([{"at": "2026-01-01T00:15:00Z", "register_m3": float("nan")}], "", 0, 0)
@example([{"at": "2026-01-01T00:15:00Z", "register_m3": "\ud800"}], "", 0, 0)
def test_the_short_way_and_the_long_way_agree(message, before, at, cut):
    payload = (before + json.dumps(message)).encode()
    for sent in (payload, payload[:at] + payload[at + cut :]):
        assert repr(outcome(shortest, sent)) == repr(outcome(_decode_any, sent))


@pytest.mark.parametrize(
    "payload",
    [
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":1,"register_m3":"2"}',
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":"1","register_m3":2}',
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":1}{}',
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":1e999}',
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":' + b"9" * 5_000 + b"}",
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":1,"x":"\xff"}',
        b'{"at":"2026-01-01T00:15:00+08:00","register_m3":1,"x":' + b"[" * 5_000,
        b'[{"at":"2026-01-01T00:15:00+08:00","register_m3":1},[]]',
        b"\xef\xbb\xbf{}",
    ],
)  # fmt: skip
def test_payloads_that_no_encoder_writes_are_the_same_on_either_way(payload):
    assert repr(outcome(shortest, payload)) == repr(outcome(_decode_any, payload))


def test_a_plain_message_goes_the_short_way():
    one = b'{"at":"2026-01-01T00:15:00+08:00","register_m3":123,"simulated":false}'
    for payload in (one, b"[" + one + b"]", b'{"readings":[' + one + b"]}"):
        assert _decode_plain(payload, "m1") == _decode_any(payload, "m1")
        assert _decode_plain(payload, "m1") is not None
