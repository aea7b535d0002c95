"""Payloads as devices and platforms really send them, and what they decode to.

Sources: wmbusmeters README and drivers/src tests (itron, kamwater, hydrus, izar); ChirpStack v4
documentation, integrations, event types; the Axioma Qalcosonic W1 in the public device repository
(lorawan-devices, vendor/axioma/qalcosonic-w1-codec.yaml). Field names and single values only.
"""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.decoders import CONFIGURED, DIALECTS, Decoded, Unreadable
from ingest.decoders.decoded import read_instant
from water.dialects import Dialect
from water.readings import Quality
from water.refusals import Refusal, SetAside, Undecodable

ARRIVED = 1_767_200_400
AT = 1_767_197_700  # 2026-01-01T00:15:00+08:00
CLOCK_ASSUMED = int(Quality.CLOCK_ASSUMED)
UPLINK = "application/17c82e96/device/0101010101010101/event/up"


def chirpstack(inside: str, time: str = '"2022-07-18T09:34:15.775023242+00:00"') -> bytes:
    head = '{"deduplicationId":"3ac7e3c4-4401-4b8d-9386-a5c902f9202d","time":' + time
    device = ',"deviceInfo":{"deviceName":"Test device","devEui":"0101010101010101"}'
    radio = ',"devAddr":"00189440","dr":1,"fPort":1,"data":"qg=="'
    return f"{head}{device}{radio}{inside}}}".encode()


READINGS = [
    # our own dialect
    ("zone", "jieshui", "m1/reading", b'{"at":"2026-01-01T00:15:00+08:00","register_m3":123.456}',
     [Decoded("m1", AT, 123.456)]),
    ("zulu", "jieshui", "m1/reading", b'{"at":"2025-12-31T16:15:00Z","flow_m3_h":-1}',
     [Decoded("m1", AT, None, -1.0)]),
    ("epoch seconds", "jieshui", "m1/reading", b'{"at":1767197700.9,"level_m":2}',
     [Decoded("m1", AT, level_m=2.0)]),
    ("epoch milliseconds", "jieshui", "m1/reading", b'{"at":1767197700900,"pressure_mpa":0.3}',
     [Decoded("m1", AT, pressure_mpa=0.3)]),
    ("numbers as strings", "jieshui", "m1/reading", b'{"at":"1767197700","register_m3":"7.50"}',
     [Decoded("m1", AT, 7.5)]),
    ("null is absent", "jieshui", "m1/reading",
     b'{"at":1767197700,"register_m3":1,"flow_m3_h":null}',
     [Decoded("m1", AT, 1.0)]),
    ("a key twice: the last holds", "jieshui", "m1/reading",
     b'{"at":1767197700,"register_m3":1,"register_m3":2}', [Decoded("m1", AT, 2.0)]),
    ("unknown keys are ignored", "jieshui", "m1/reading",
     '{"at":1767197700,"register_m3":1,"备注":{"a":[1]}}'.encode(), [Decoded("m1", AT, 1.0)]),
    ("many in an object", "jieshui", "-/reading",
     (b'{"readings":[{"meter":"a","at":1767197700,"register_m3":1},'
     b'{"meter":42,"at":1767197700,"register_m3":2}]}'),
     [Decoded("a", AT, 1.0), Decoded("42", AT, 2.0)]),
    ("many in an array", "jieshui", "m1/reading",
     b' [{"at":1767197700,"register_m3":1},{"at":1767198600,"register_m3":2}]',
     [Decoded("m1", AT, 1.0), Decoded("m1", AT + 900, 2.0)]),
    ("no zone", "jieshui", "m1/reading", b'{"at":"2026-01-01T00:15:00","register_m3":1}',
     [Decoded("m1", None, refusal=Refusal.TIME_WITHOUT_ZONE, detail="2026-01-01T00:15:00")]),
    ("epoch milliseconds as text", "jieshui", "m1/reading",
     b'{"at":"1781020312345","register_m3":1}', [Decoded("m1", 1_781_020_312, 1.0)]),
    ("epoch seconds with a fraction as text", "jieshui", "m1/reading",
     b'{"at":" 1767197700.9","register_m3":1}', [Decoded("m1", AT, 1.0)]),
    ("digits of a day", "jieshui", "m1/reading", b'{"at":"20260101","register_m3":1}',
     [Decoded("m1", None, refusal=Refusal.TIME_WITHOUT_ZONE, detail="20260101")]),
    ("digits of a minute", "jieshui", "m1/reading", b'{"at":"202601010015","register_m3":1}',
     [Decoded("m1", None, refusal=Refusal.TIME_WITHOUT_ZONE, detail="202601010015")]),
    ("digits of a second", "jieshui", "m1/reading", b'{"at":"20260101001500","register_m3":1}',
     [Decoded("m1", None, refusal=Refusal.TIME_WITHOUT_ZONE, detail="20260101001500")]),
    ("more digits than any instant", "jieshui", "m1/reading",
     b'{"at":"%s","register_m3":1}' % (b"9" * 400),
     [Decoded("m1", None, refusal=Refusal.BAD_TIME, detail="9" * 80)]),
    ("an instant in blanks without end", "jieshui", "m1/reading",
     b'{"at":"2026-01-01T00:15:00Z%s","register_m3":1}' % (b" " * 400),
     [Decoded("m1", None, refusal=Refusal.BAD_TIME,
              detail="2026-01-01T00:15:00Z" + " " * 60)]),
    ("no time", "jieshui", "m1/reading", b'{"register_m3":1}',
     [Decoded("m1", None, refusal=Refusal.NO_TIME)]),
    ("no instant", "jieshui", "m1/reading", b'{"at":"yesterday","register_m3":1}',
     [Decoded("m1", None, refusal=Refusal.BAD_TIME, detail="yesterday")]),
    ("time beyond any calendar", "jieshui", "m1/reading", b'{"at":1e300,"register_m3":1}',
     [Decoded("m1", None, refusal=Refusal.BAD_TIME, detail="1e+300")]),
    ("time beyond any float", "jieshui", "m1/reading",
     b'{"at":1%s,"register_m3":1}' % (b"0" * 309),
     [Decoded("m1", None, refusal=Refusal.BAD_TIME, detail="1" + "0" * 79)]),
    ("time is true", "jieshui", "m1/reading", b'{"at":true,"register_m3":1}',
     [Decoded("m1", None, refusal=Refusal.BAD_TIME, detail="True")]),
    ("NaN", "jieshui", "m1/reading", b'{"at":1767197700,"register_m3":NaN}',
     [Decoded("m1", AT, refusal=Refusal.NOT_FINITE, detail="nan")]),
    ("-Infinity", "jieshui", "m1/reading", b'{"at":1767197700,"flow_m3_h":-Infinity}',
     [Decoded("m1", AT, refusal=Refusal.NOT_FINITE, detail="-inf")]),
    ("1e999", "jieshui", "m1/reading", b'{"at":1767197700,"register_m3":1e999}',
     [Decoded("m1", AT, refusal=Refusal.NOT_FINITE, detail="inf")]),
    ("NaN as text", "jieshui", "m1/reading", b'{"at":1767197700,"register_m3":"nan"}',
     [Decoded("m1", AT, refusal=Refusal.NOT_FINITE, detail="'nan'")]),
    ("no number", "jieshui", "m1/reading", b'{"at":1767197700,"register_m3":"12,5"}',
     [Decoded("m1", AT, refusal=Refusal.NOT_A_NUMBER, detail="'12,5'")]),
    ("no digits of ours", "jieshui", "m1/reading",
     '{"at":1767197700,"register_m3":"１２５"}'.encode(),
     [Decoded("m1", AT, refusal=Refusal.NOT_A_NUMBER, detail="'１２５'")]),
    ("digits in groups", "jieshui", "m1/reading", b'{"at":1767197700,"register_m3":"12_5"}',
     [Decoded("m1", AT, refusal=Refusal.NOT_A_NUMBER, detail="'12_5'")]),
    ("an object for a number", "jieshui", "m1/reading", b'{"at":1767197700,"register_m3":{"v":1}}',
     [Decoded("m1", AT, refusal=Refusal.NOT_A_NUMBER, detail="{'v': 1}")]),
    ("one bad of a batch", "jieshui", "m1/reading",
     b'[{"at":1767197700,"register_m3":true},{"at":1767198600,"register_m3":2}]',
     [Decoded("m1", AT, refusal=Refusal.NOT_A_NUMBER, detail="True"),
      Decoded("m1", AT + 900, 2.0)]),
    ("one simulated of a batch", "jieshui", "m1/reading",
     b'[{"at":1767197700,"register_m3":1,"simulated":true},{"at":1767198600,"register_m3":2}]',
     [Decoded("m1", AT, 1.0, refusal=Refusal.SIMULATED), Decoded("m1", AT + 900, 2.0)]),
    # wmbusmeters
    ("live form", "wmbusmeters", "wmbusmeters/33225544",
     (b'{"_":"telegram","media":"water","meter":"iperl","name":"MyTapWater","id":"33225544",'
     b'"max_flow_m3h":0,"total_m3":123.529,"timestamp":"2024-03-03T18:37:00Z"}'),
     [Decoded("33225544", 1_709_491_020, 123.529, quality=CLOCK_ASSUMED)]),
    ("itron with flow and local meter time", "wmbusmeters", "x",
     (b'{"media":"water","meter":"itron","id":"18000056","meter_datetime":"2022-10-08 21:16:14",'
     b'"total_m3":521.277,"volume_flow_m3h":0.004,"status":"OK","target_m3":520.461,'
     b'"timestamp":"2022-10-08T13:16:20Z"}'),
     [Decoded("18000056", 1_665_234_980, 521.277, 0.004, quality=CLOCK_ASSUMED)]),
    ("kamwater, dry, 127 degrees", "wmbusmeters", "x",
     (b'{"meter":"kamwater","id":"44556677","flow_temperature_c":127,"total_m3":20.015,'
     b'"current_status":"DRY","status":"DRY","time_dry":"22-31 days",'
     b'"timestamp":"2024-03-03T18:37:00Z"}'),
     [Decoded("44556677", 1_709_491_020, 20.015,
              quality=int(Quality.CLOCK_ASSUMED | Quality.EMPTY_PIPE | Quality.DEVICE_ALARM))]),
    ("hydrus, flow of zero is a flow", "wmbusmeters", "x",
     (b'{"meter":"hydrus","id":"64646464","total_m3":137.291,"flow_m3h":0,"status":"OK",'
     b'"timestamp":"2024-03-03T18:37:00Z"}'),
     [Decoded("64646464", 1_709_491_020, 137.291, 0.0, quality=CLOCK_ASSUMED)]),
    ("izar alarms by comma", "wmbusmeters", "x",
     (b'{"meter":"izar","id":"21242472","total_m3":3.488,"current_alarms":"meter_blocked,underflow",'
     b'"previous_alarms":"no_alarm","timestamp":"2024-03-03T18:37:00Z"}'),
     [Decoded("21242472", 1_709_491_020, 3.488,
              quality=int(Quality.CLOCK_ASSUMED | Quality.DEVICE_ALARM))]),
    ("battery alone is no alarm", "wmbusmeters", "x",
     b'{"id":"1","total_m3":1,"status":"POWER_LOW","timestamp":"2024-03-03T18:37:00Z"}',
     [Decoded("1", 1_709_491_020, 1.0, quality=int(Quality.CLOCK_ASSUMED | Quality.LOW_BATTERY))]),
    ("all bits set is no register", "wmbusmeters", "x",
     b'{"id":"1","total_m3":4294967.295,"timestamp":"2024-03-03T18:37:00Z"}',
     [Decoded("1", 1_709_491_020, 4294967.295, quality=CLOCK_ASSUMED,
              refusal=Refusal.SENTINEL, detail="4294967.295")]),
    # ChirpStack
    ("uplink with codec, nanoseconds", "chirpstack", UPLINK,
     chirpstack(',"object":{"total_m3":5.938,"flow_m3h":0.1}'),
     [Decoded("0101010101010101", 1_658_136_855, 5.938, 0.1, quality=CLOCK_ASSUMED)]),
    ("a day in one uplink", "chirpstack", UPLINK,
     chirpstack(',"object":{"readings":[{"at":1658106000,"register_m3":"1"},'
                '{"at":"2022-07-18T02:00:00Z","register_m3":2}]}'),
     [Decoded("0101010101010101", 1_658_106_000, 1.0),
      Decoded("0101010101010101", 1_658_109_600, 2.0)]),
    ("a day of the Qalcosonic W1: the newest volume at the meter's instant", "chirpstack", UPLINK,
     chirpstack(',"object":{"timestamp_unix":1788390574,"status":0,"low_battery":false,'
                '"log_volume_m3":5.938,"delta_1_m3":0,"delta_23_m3":0.012,'
                '"current_volume_m3":6.054,"history_total_m3":0.116,"history_multiplier":0}'),
     [Decoded("0101010101010101", 1_788_390_574, 6.054)]),
    ("alarm bits of the codec", "chirpstack", UPLINK,
     chirpstack(',"object":{"total_m3":1,"low_battery":true,"backflow":true}'),
     [Decoded("0101010101010101", 1_658_136_855, 1.0, quality=int(
         Quality.CLOCK_ASSUMED | Quality.LOW_BATTERY | Quality.DEVICE_ALARM))]),
    ("EUI of the topic", "chirpstack", "application/a/device/ABCDEF0101010101/event/up",
     b'{"time":"2022-07-18T09:34:15Z","object":{"register_m3":1}}',
     [Decoded("abcdef0101010101", 1_658_136_855, 1.0, quality=CLOCK_ASSUMED)]),
]  # fmt: skip

SET_ASIDE = [
    ("status", "jieshui", "m1/status", b"anything", SetAside.STATUS),
    ("event", "jieshui", "m1/event", b"{}", SetAside.EVENT),
    ("simulated", "jieshui", "m/reading", b'{"at":1,"register_m3":1,"simulated":true}',
     SetAside.SIMULATED),
    ("simulated batch", "jieshui", "m/reading",
     b'{"simulated":true,"readings":[{"at":1,"register_m3":1}]}', SetAside.SIMULATED),
    ("empty batch", "jieshui", "m/reading", b"[]", SetAside.EMPTY),
    ("alarm tree", "wmbusmeters", "wmbusmeters_alarm", b"{}", SetAside.EVENT),
    ("device status", "chirpstack", "application/a/device/b/event/status",
     b'{"margin":10,"batteryLevel":88.3}', SetAside.STATUS),
    ("join", "chirpstack", "application/a/device/b/event/join", b"{}", SetAside.EVENT),
    ("simulated uplink", "chirpstack", UPLINK,
     chirpstack(',"object":{"total_m3":1,"simulated":true}'), SetAside.SIMULATED),
]  # fmt: skip

UNREADABLE = [
    ("garbage", "jieshui", "m/reading", b"\x00\x01\x02", Undecodable.MALFORMED),
    ("half", "jieshui", "m/reading", b'{"at":17671977', Undecodable.MALFORMED),
    ("a number alone", "jieshui", "m/reading", b"42", Undecodable.MALFORMED),
    ("no list of objects", "jieshui", "m/reading", b"[1,2]", Undecodable.MALFORMED),
    ("a register beside readings", "jieshui", "m/reading",
     b'{"at":1767197700,"register_m3":5,"readings":[{"at":1767197760,"register_m3":6}]}',
     Undecodable.MALFORMED),
    ("a level beside no readings", "jieshui", "m/reading", b'{"level_m":0,"readings":[]}',
     Undecodable.MALFORMED),
    ("readings no list", "jieshui", "m/reading", b'{"readings":7}', Undecodable.MALFORMED),
    ("GBK", "jieshui", "m/reading", '{"at":1,"meter":"义乌水表"}'.encode("gbk"),
     Undecodable.NOT_UTF8),
    ("deep nesting", "jieshui", "m/reading", b'{"a":' + b"[" * 100_000, Undecodable.MALFORMED),
    ("deep but closed", "jieshui", "m/reading", b'{"at":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
     Undecodable.MALFORMED),
    ("a number of 5000 digits in a NaN message", "jieshui", "m/reading",
     b'{"at":NaN,"register_m3":' + b"9" * 5000 + b"}", Undecodable.MALFORMED),
    ("no quantity", "jieshui", "m/reading", b'{"at":1767197700}', Undecodable.NO_QUANTITY),
    ("other kind of topic", "jieshui", "m/readings", b"{}", Undecodable.UNKNOWN_TOPIC),
    ("no meter in the topic", "jieshui", "reading", b"{}", Undecodable.UNKNOWN_TOPIC),
    ("telegram without id", "wmbusmeters", "x", b'{"total_m3":1}', Undecodable.MALFORMED),
    ("telegram without total", "wmbusmeters", "x",
     b'{"id":"1","timestamp":"2024-03-03T18:37:00Z"}', Undecodable.NO_QUANTITY),
    ("a volume of 23 hours ago is no register of now", "chirpstack", UPLINK,
     chirpstack(',"object":{"log_volume_m3":5.938,"delta_1_m3":0}'), Undecodable.NO_QUANTITY),
    ("no codec", "chirpstack", UPLINK, chirpstack(""), Undecodable.NO_QUANTITY),
    ("other topic", "chirpstack", "gateway/up", chirpstack(""), Undecodable.UNKNOWN_TOPIC),
]  # fmt: skip


def ids(table):
    return [f"{dialect}: {name}" for name, dialect, *_ in table]


@pytest.mark.parametrize(
    ("_", "dialect", "rest", "payload", "expected"), READINGS, ids=ids(READINGS)
)
def test_a_payload_decodes_to_its_readings(_, dialect, rest, payload, expected):
    assert DIALECTS[dialect](rest, payload, ARRIVED) == expected


@pytest.mark.parametrize(("_", "dialect", "rest", "payload", "kind"), SET_ASIDE, ids=ids(SET_ASIDE))
def test_a_message_without_readings_is_set_aside(_, dialect, rest, payload, kind):
    assert DIALECTS[dialect](rest, payload, ARRIVED) is kind


@pytest.mark.parametrize(
    ("_", "dialect", "rest", "payload", "reason"), UNREADABLE, ids=ids(UNREADABLE)
)
def test_what_is_no_message_of_the_dialect_has_a_reason(_, dialect, rest, payload, reason):
    with pytest.raises(Unreadable) as caught:
        DIALECTS[dialect](rest, payload, ARRIVED)
    assert caught.value.reason is reason


def test_every_dialect_has_its_table():
    here = {dialect for _, dialect, *_ in READINGS}
    files = Path(__file__).parent.glob("test_decoders_*.py")
    assert set(Dialect) <= here | {file.stem.removeprefix("test_decoders_") for file in files}


PAGE = (Path(__file__).parents[2] / "docs/dialects.md").read_text(encoding="utf-8")
SOURCES = dict(
    re.findall(r"^\| `(\w+)` \| (.+?) \| ", PAGE.split("Where the payloads")[1], re.MULTILINE)
)


@pytest.mark.parametrize("dialect", Dialect)
def test_the_source_of_a_dialects_payloads_is_named(dialect):
    own = Path(__file__).with_name(f"test_decoders_{dialect}.py")
    text = (own if own.exists() else Path(__file__)).read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text))
    said = re.findall(r"[\w.-]{5,}", SOURCES[dialect])
    assert dialect == "jieshui" or any(word in docstring for word in said)


FROM_2020, TO_2035 = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2020, 2035))


@example(1_781_020_312, 345)
@given(st.integers(FROM_2020, TO_2035), st.integers(0, 999))
def test_an_epoch_as_text_is_the_same_instant_as_the_number(seconds, ms):
    milliseconds = seconds * 1000 + ms
    for value in (seconds, seconds + ms / 1000, milliseconds):
        assert read_instant(str(value)) == read_instant(value) == seconds


def test_every_named_dialect_has_a_decoder():
    assert set(DIALECTS) | CONFIGURED == set(Dialect)
    assert not set(DIALECTS) & CONFIGURED
