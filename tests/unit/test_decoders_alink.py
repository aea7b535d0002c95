"""Alink JSON as help.aliyun.com/document_detail/89301 shows it."""

import pytest

from ingest.decoders import DIALECTS, Decoded, Unreadable
from water.refusals import Refusal, SetAside, Undecodable

decode = DIALECTS["alink"]
TOPIC = "/sys/a1B2c3D4e5F/meter-1/thing/event/property/post"
METER = "a1B2c3D4e5F/meter-1"
AT = 1_524_448_722  # 2018-04-23T01:58:42Z
ARRIVED, CLOCK_ASSUMED = 1_524_448_800, 4


def message(params: str) -> bytes:
    return (
        f'{{"id":"123","version":"1.0","sys":{{"ack":0}},"params":{params},'
        '"method":"thing.event.property.post"}'
    ).encode()


def timed(name: str, value: str, ms: int = AT * 1000) -> str:
    return f'"{name}":{{"value":{value},"time":{ms}}}'


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (f'{{"Power":{{"value":"on","time":{AT}000}},{timed("register_m3", "23.6")}}}',
         [Decoded(METER, AT, 23.6)]),
        (f'{{{timed("total_m3", "1")},{timed("flow_m3h", "0")},{timed("level_m", "2.5")}}}',
         [Decoded(METER, AT, 1.0, 0.0, level_m=2.5)]),
        (f'{{{timed("register_m3", "1")},{timed("pressure_mpa", "0.3", AT * 1000 + 60_000)}}}',
         [Decoded(METER, AT, 1.0), Decoded(METER, AT + 60, pressure_mpa=0.3)]),
        ('{"register_m3":23.6,"Power":"on"}',
         [Decoded(METER, ARRIVED, 23.6, quality=CLOCK_ASSUMED)]),
        ('{"register_m3":{"value":"23.6"}}',
         [Decoded(METER, ARRIVED, 23.6, quality=CLOCK_ASSUMED)]),
        (f'{{"register_m3":{{"value":1,"time":{AT}}}}}', [Decoded(METER, AT, 1.0)]),
        ('{"register_m3":{"value":1,"time":"2018-04-23 09:58:42"}}',
         [Decoded(METER, None, refusal=Refusal.TIME_WITHOUT_ZONE, detail="2018-04-23 09:58:42")]),
        (f'{{{timed("register_m3", "NaN")}}}',
         [Decoded(METER, AT, refusal=Refusal.NOT_FINITE, detail="nan")]),
        ('{"register_m3":{"value":{"a":1},"time":[1]}}',
         [Decoded(METER, None, refusal=Refusal.BAD_TIME, detail="[1]")]),
        (f'{{{timed("register_m3", "1")},{timed("flow_m3_h", "null")}}}',
         [Decoded(METER, AT, 1.0)]),
    ],
    ids=["beside another property", "several quantities of an instant", "two instants",
         "values alone: the time of arrival", "a number as text without a time",
         "seconds", "local time", "NaN", "a list for a time", "null is absent"],
)  # fmt: skip
def test_properties_are_readings(params, expected):
    assert decode(TOPIC, message(params), ARRIVED) == expected


def test_behind_a_bridge_the_topic_may_begin_with_something_else():
    payload = message('{"register_m3":1}')
    for topic in ("cloud" + TOPIC, TOPIC[1:]):
        reading = Decoded(METER, ARRIVED, 1.0, quality=CLOCK_ASSUMED)
        assert decode(topic, payload, ARRIVED) == [reading]


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("thing/event/leak/post", SetAside.EVENT),
        ("thing/event/property/post_reply", SetAside.EVENT),
        ("thing/service/property/set", SetAside.EVENT),
        ("thing/event/property/post", SetAside.EMPTY),
    ],
)
def test_what_holds_no_reading_is_set_aside(end, kind):
    assert decode(f"/sys/a1B2c3D4e5F/meter-1/{end}", message("{}"), ARRIVED) is kind


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (TOPIC, message('{"WF":{"value":23.6,"time":1524448722000}}'), Undecodable.NO_QUANTITY),
        (TOPIC, message('{"water_consumption":1}'), Undecodable.NO_QUANTITY),
        (TOPIC, message('{"a:register_m3":1,"b:register_m3":2}'), Undecodable.NO_QUANTITY),
        (TOPIC, message("[1]"), Undecodable.MALFORMED),
        (TOPIC, b'{"id":"123"}', Undecodable.MALFORMED),
        (TOPIC, message('{"a":' + "[" * 50_000 + "]" * 50_000 + "}"), Undecodable.MALFORMED),
        ("/sys/a1/m/thing/model/up_raw", b"\x00\x00\x22\x33", Undecodable.NO_QUANTITY),
        ("/sys/a1/m/thing/event/property/batch/post", message("{}"), Undecodable.UNKNOWN_TOPIC),
        ("/shadow/update/a1/m", message("{}"), Undecodable.UNKNOWN_TOPIC),
    ],
    ids=["a name without unit", "another", "two modules", "a list", "no params", "deep nesting",
         "raw bytes", "a batch", "another topic"],
)  # fmt: skip
def test_what_can_not_be_read_has_a_reason(topic, payload, reason):
    with pytest.raises(Unreadable) as caught:
        decode(topic, payload, ARRIVED)
    assert caught.value.reason is reason


def test_names_that_are_no_quantity_are_told():
    with pytest.raises(Unreadable, match="no quantity in WF, Power"):
        decode(TOPIC, message('{"WF":1,"Power":2}'), ARRIVED)
