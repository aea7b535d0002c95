"""JSON by a mapping: the worked ones of docs/dialects.md, and what makes a mapping or message bad.

Sources: developer.tuya.com, device_model (TuyaLink report; water_use_data has scale 3); R900 of
github.com/geoffjay/water-meter, its sentinel of github.com/bemasher/rtlamr/issues/251;
help.aliyun.com/document_detail/89301 (Alink); shelly-api-docs.shelly.cloud, gen2, Notifications
and Input; AI-on-the-edge (jomjol, MQTT-API.md); ThingsBoard's telemetry of a gateway.
"""

import json
import re
from pathlib import Path

import pytest

from ingest.decoders import Decoded, Unreadable
from jieshui.agreements import make_agreements
from jieshui.config import load_settings
from jieshui.errors import JieshuiError
from water.refusals import Refusal, SetAside, Undecodable

PAGE = (Path(__file__).parents[2] / "docs/dialects.md").read_text(encoding="utf-8")
WORKED = {
    re.search(r": (\w+)", title)[1]: (topic, mapping, payload)
    for title, topic, mapping, payload in re.findall(
        r"^### (.+?)\n.*?Topic\s`water/v1/east/json/([^`]+)`.*?```toml\n(.*?)```.*?```json\n(.*?)"
        r"```",
        PAGE, re.DOTALL | re.MULTILINE,
    )
}  # fmt: skip
AT = 1_789_430_400  # 2026-09-15T00:00:00Z
CLOCK_ASSUMED = 4


def decoder(tmp_path, mapping, supplier="east"):
    file = tmp_path / "jieshui.toml"
    file.write_text(mapping, encoding="utf-8")
    return make_agreements(load_settings(file).mqtt).decoders[supplier, "json"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TuyaLink", Decoded("6c828cba434ff40c074wF2", AT, 1234.567)),
        ("rtlamr", Decoded("1578876706", 1_787_169_250, 117.04493236128, quality=CLOCK_ASSUMED)),
        ("Alink", Decoded("meter-1", 1_524_448_722, 23.6)),
        ("Shelly", Decoded("shellyplusuni-a0a3b3b8b8b8", AT, 543.21)),
    ],
)
def test_a_worked_mapping_of_the_page_reads_its_payload(tmp_path, name, expected):
    topic, mapping, payload = WORKED[name]
    assert decoder(tmp_path, mapping)(topic, payload.encode(), AT + 9) == [expected]


def test_every_worked_mapping_of_the_page_is_tried():
    assert set(WORKED) == {"TuyaLink", "rtlamr", "Alink", "Shelly"}


@pytest.mark.parametrize(
    ("name", "topic", "payload"),
    [
        ("TuyaLink", "", '{"data":{"battery":{"value":80,"time":1789430400000}}}'),
        ("Shelly", "", '{"src":"s","params":{"ts":1789430400,"input:0":{"state":true}}}'),
        ("Shelly", "shellyplusuni-a0a3b3b8b8b8/online", "false"),
    ],
    ids=["another property", "another input", "the last will on the same tree"],
)
def test_a_partial_update_without_water_is_set_aside(tmp_path, name, topic, payload):
    read = decoder(tmp_path, WORKED[name][1])
    assert read(topic or WORKED[name][0], payload.encode(), AT) is SetAside.STATUS


def test_the_fault_value_of_a_meter_is_no_register(tmp_path):
    topic, mapping, payload = WORKED["rtlamr"]
    faulty = payload.replace("309200", "11184810").encode()
    (reading,) = decoder(tmp_path, mapping)(topic, faulty, AT)
    assert (reading.refusal, reading.detail) == (Refusal.SENTINEL, "11184810")


PLAIN = """[[mqtt.json]]
supplier = "east"
address = "/id"
at = "/at"
register_m3 = {path = "/v", unit = "m3"}
"""
EDGE = """[[mqtt.json]]
supplier = "east"
topic = "+/main/json"
address = "topic:1"
at = "/timestamp"
timezone = "Europe/Berlin"
register_m3 = {path = "/value", unit = "m3"}
"""


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2026-09-15T02:00:00", AT),
        ("2026-09-15T02:00:00+0200", AT),
        ("2026-09-15T00:00:00Z", AT),
        ("2026-10-25T02:30:00", Refusal.TIME_WITHOUT_ZONE),
        ("2026-03-29T02:30:00", Refusal.TIME_WITHOUT_ZONE),
        ("2026-09-15", Refusal.TIME_WITHOUT_ZONE),
        ("20260915020000", Refusal.BAD_TIME),
        ("1789430400000", Refusal.BAD_TIME),
        ("soon", Refusal.BAD_TIME),
        ("", Refusal.BAD_TIME),
        ("2026-09-15T02:00:00" + "0" * 99, Refusal.BAD_TIME),
    ],
    ids=["local time", "an offset wins", "UTC", "the hour that comes twice", "the hour skipped",
         "a day", "digits", "an epoch", "a word", "never read yet", "too long"],
)  # fmt: skip
def test_local_time_is_that_of_the_zone_and_one_moment(tmp_path, timestamp, expected):
    payload = {"value": "521.277", "raw": "521.2770", "error": "no error", "timestamp": timestamp}
    read = decoder(tmp_path, EDGE)
    (reading,) = read("watermeter/main/json", json.dumps(payload).encode(), AT)
    assert expected in (reading.at, reading.refusal)
    if reading.refusal is None:
        assert reading[:3] == ("watermeter", AT, 521.277)


def test_without_a_zone_local_time_names_no_moment(tmp_path):
    payload = b'{"id":1,"at":"2026-09-15T02:00:00","v":1}'
    (reading,) = decoder(tmp_path, PLAIN)("x", payload, AT)
    assert reading.refusal is Refusal.TIME_WITHOUT_ZONE


@pytest.mark.parametrize(
    ("settings", "at", "expected"),
    [
        ('time_format = "s"', "1789430400", AT),
        ('time_format = "s"', '"1789430400.9"', AT),
        ('time_format = "s"', "1789430400000", Refusal.BAD_TIME),
        ('time_format = "s"', "true", Refusal.BAD_TIME),
        ('time_format = "ms"', "1789430400999", AT),
        ('time_format = "ms"', '"2026-09-15T00:00:00Z"', Refusal.BAD_TIME),
        ('time_format = "ms"', "null", Refusal.NO_TIME),
        ('time_format = "%d.%m.%Y %H:%M"\ntimezone = "Asia/Shanghai"', '"15.09.2026 08:00"', AT),
        ('time_format = "%d.%m.%Y %H:%M"\ntimezone = "Asia/Shanghai"', '"2026-09-15 08:00"',
         Refusal.BAD_TIME),
        ('time_format = "%Y%m%d%H%M%S %z"', '"20260915080000 +0800"', AT),
        ("", "1789430400", Refusal.BAD_TIME),
    ],
)  # fmt: skip
def test_a_time_is_what_the_mapping_says_or_none(tmp_path, settings, at, expected):
    read = decoder(tmp_path, PLAIN + settings)
    (reading,) = read("x", f'{{"id":1,"at":{at},"v":1}}'.encode(), AT)
    assert expected in (reading.at, reading.refusal)


def test_the_time_of_arrival_stands_where_the_mapping_says_so(tmp_path):
    read = decoder(tmp_path, PLAIN.replace('"/at"', '"arrival"'))
    assert read("x", b'{"id":1,"v":2}', AT) == [Decoded("1", AT, 2.0, quality=CLOCK_ASSUMED)]


MANY = """[[mqtt.json]]
supplier = "east"
readings = "/list"
address = "/id"
at = "payload:/sent"
time_format = "ms"
simulated = "/test"
register_m3 = {path = "/total", unit = "l"}
flow_m3_h = {path = "/q", unit = "l/s", sentinels = [65535, -1]}
"""


def test_each_of_a_list_is_a_reading_and_a_bad_one_keeps_nobody_else(tmp_path):
    rows = [
        {"id": "a", "total": "1500", "q": 65535}, {"id": "b", "total": 1, "test": True},
        {"id": "c", "q": 0.5}, {"id": "d"}, {"total": 3}, {"id": "e", "total": "n/a"},
        {"id": "f", "q": -1}, 7,
    ]  # fmt: skip
    payload = json.dumps({"sent": AT * 1000, "list": rows}).encode()
    readings = decoder(tmp_path, MANY)("x", payload, AT + 9)
    assert readings[0] == Decoded("a", AT, 1.5)
    assert readings[2] == Decoded("c", AT, None, 1.8)
    assert [(each.address, each.refusal) for each in readings] == [
        ("a", None), ("b", Refusal.SIMULATED), ("c", None), ("d", Refusal.NOT_A_NUMBER),
        ("", Refusal.UNKNOWN_METER), ("e", Refusal.NOT_A_NUMBER), ("f", Refusal.SENTINEL),
        ("", Refusal.NOT_A_NUMBER),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"list": []}, SetAside.EMPTY),
        (
            {"sent": AT * 1000, "list": [{"id": "a", "total": 1, "test": "TRUE"}]},
            SetAside.SIMULATED,
        ),
        ({"list": [{"id": "a"}]}, Undecodable.NO_QUANTITY),
        ({"lists": []}, Undecodable.NO_QUANTITY),
        ([], Undecodable.NO_QUANTITY),
    ],
    ids=["nothing", "all of it a test", "no quantity", "no list", "another shape"],
)
def test_a_message_without_readings_says_why(tmp_path, payload, expected):
    try:
        found = decoder(tmp_path, MANY)("x", json.dumps(payload).encode(), AT)
    except Unreadable as unreadable:
        found = unreadable.reason
    assert found is expected


def test_an_object_of_readings_has_the_addresses_as_names(tmp_path):
    mapping = PLAIN.replace('"/id"', '"key"').replace('"/at"', '"/ts"') + 'time_format = "ms"\n'
    payload = {"水表/1": {"ts": AT * 1000, "v": 1}, "meter B": {"ts": AT * 1000, "v": 2}}
    assert decoder(tmp_path, mapping)("v1/gateway", json.dumps(payload).encode(), AT) == [
        Decoded("水表/1", AT, 1.0), Decoded("meter B", AT, 2.0),
    ]  # fmt: skip


def test_a_number_alone_may_be_the_register(tmp_path):
    mapping = PLAIN.replace('"/id"', '"topic:2"').replace('"/at"', '"arrival"')
    read = decoder(tmp_path, mapping.replace('"/v"', '""'))
    assert read("main/m1/value", b"12.5", AT) == [Decoded("m1", AT, 12.5, quality=CLOCK_ASSUMED)]


def test_a_pointer_reaches_into_lists_and_odd_names(tmp_path):
    mapping = PLAIN.replace('"/v"', '"/a~1b/0/~0/累计"')
    payload = {"id": 1, "at": "2026-09-15T00:00:00Z", "a/b": [{"~": {"累计": 3}}]}
    read = decoder(tmp_path, mapping)
    assert read("x", json.dumps(payload).encode(), AT) == [Decoded("1", AT, 3.0)]


def test_of_several_mappings_the_first_that_fits_reads(tmp_path):
    read = decoder(tmp_path, EDGE + PLAIN.replace("address", 'topic = "b/+"\naddress'))
    payload = b'{"id":1,"at":"2026-09-15T00:00:00Z","v":1,"value":2}'
    assert read("b/c", payload, AT) == [Decoded("1", AT, 1.0)]
    with pytest.raises(Unreadable) as caught:
        read("c/d/e", payload, AT)
    assert caught.value.reason is Undecodable.UNKNOWN_TOPIC


def test_a_register_beyond_any_number_is_refused(tmp_path):
    mapping = PLAIN.replace('"m3"', '"m3", scale = 1000')
    (reading,) = decoder(tmp_path, mapping)(
        "x", b'{"id":1,"at":"2026-09-15T00:00:00Z","v":1e306}', AT
    )
    assert reading.refusal is Refusal.NOT_FINITE


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('address = "/id"', 'address = "id"', r"line 3: mqtt.json.0.address: .*begins with /"),
        ('address = "/id"', 'address = "topic:0"', r"line 3: .*from 1"),
        ('address = "/id"', 'address = "/a~2"', r"line 3: .*~0"),
        ('at = "/at"', 'at = "at"', r"line 4: mqtt.json.0.at: .*begins with /"),
        ('address = "/id"\n', "", r"line 1: mqtt.json.0.address: Field required"),
        ('unit = "m3"', 'unit = "gallon"', r"line 5: mqtt.json.0.register_m3: .*'gallon'.*gal_us"),
        ('unit = "m3"', 'unit = "l/s"', r"line 5: mqtt.json.0.register_m3: .*'l/s' is no unit"),
        ('unit = "m3"', 'unit = "m3", scale = 0', r"line 5: .*scale: .*above 0"),
        ('unit = "m3"', 'unit = "m3", scale = "1/0"', r"line 5: .*scale: .*no number"),
        ('at = "/at"', 'at = "/at"\ntime_format = "%H:%M"', r"line 5: .*time_format: .*year"),
        ('at = "/at"', 'at = "/at"\ntime_format = "epoch"', r"line 5: .*iso, s, ms or a pattern"),
        ('at = "/at"', 'at = "/at"\ntimezone = "Asia/Yiwu"', r"line 5: .*Asia/Yiwu"),
        ('at = "/at"', 'at = "/at"\ntopic = "a/#/b"', r"line 5: .*topic: .*no topic filter"),
        ('register_m3 = {path = "/v", unit = "m3"}', "", r"line 1: mqtt.json.0: .*no quantity"),
        ('at = "/at"', 'at = "/at"\nfactor = 2', r"line 5: mqtt.json.0.factor: is no setting"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_stops_the_start_with_its_line(tmp_path, old, new, said):
    with pytest.raises(JieshuiError, match=said):
        decoder(tmp_path, PLAIN.replace(old, new))


def test_the_line_is_that_of_the_table_that_is_wrong(tmp_path):
    wrong = PLAIN.replace('"m3"', '"m4"')
    with pytest.raises(JieshuiError, match=r"line 10: mqtt.json.1.register_m3"):
        decoder(tmp_path, PLAIN + wrong)
    table = '[mqtt.json.register_m3]\npath = "/v"\nunit = "m3"\nscale = "x"'
    inner = PLAIN.replace('register_m3 = {path = "/v", unit = "m3"}', table)
    with pytest.raises(JieshuiError, match=r"line 13: mqtt.json.1.register_m3.scale"):
        decoder(tmp_path, PLAIN + inner)
