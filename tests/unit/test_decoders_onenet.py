"""OneJSON as open.iot.10086.cn shows it: id, version, params with value and time."""

import pytest

from ingest.decoders import DIALECTS, Decoded, Unreadable
from water.refusals import Refusal, SetAside, Undecodable

decode = DIALECTS["onenet"]
TOPIC = "$sys/9MaTKc9gOP/meter-1/thing/property/post"
METER = "9MaTKc9gOP/meter-1"
AT = 1_524_448_722
ARRIVED, CLOCK_ASSUMED = 1_524_448_800, 4


def message(params: str) -> bytes:
    return f'{{"id":"123","version":"1.0","params":{params}}}'.encode()


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ('{"Temp":{"value":25},"register_m3":{"value":60}}',
         [Decoded(METER, ARRIVED, 60.0, quality=CLOCK_ASSUMED)]),
        (f'{{"volume_m3":{{"value":"60.5","time":{AT}000}},"level_m":{{"value":0,"time":{AT}000}}}}',
         [Decoded(METER, AT, 60.5, level_m=0.0)]),
        (f'{{"volume_m3":{{"value":60.5,"time":{AT}000}},"flow_m3_h":{{"value":2}}}}',
         [Decoded(METER, AT, 60.5), Decoded(METER, ARRIVED, None, 2.0, quality=CLOCK_ASSUMED)]),
        (f'{{"register_m3":{{"value":1e999,"time":{AT}000}}}}',
         [Decoded(METER, AT, refusal=Refusal.NOT_FINITE, detail="inf")]),
        (f'{{"register_m3":{{"value":true,"time":{AT}000}}}}',
         [Decoded(METER, AT, refusal=Refusal.NOT_A_NUMBER, detail="True")]),
    ],
    ids=["without a time: that of arrival", "with a time, one a number as text",
         "one with and one without", "no finite number", "true is no number"],
)  # fmt: skip
def test_properties_are_readings(params, expected):
    assert decode(TOPIC, message(params), ARRIVED) == expected


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("thing/event/post", SetAside.EVENT),
        ("thing/property/post/reply", SetAside.EVENT),
        ("thing/property/set", SetAside.EVENT),
        ("thing/property/post", SetAside.EMPTY),
    ],
)
def test_what_holds_no_reading_is_set_aside(end, kind):
    assert decode(f"$sys/9MaTKc9gOP/meter-1/{end}", message("{}"), ARRIVED) is kind


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (TOPIC, message('{"Temp":{"value":25},"Hum":{"value":60}}'), Undecodable.NO_QUANTITY),
        (TOPIC, b'{"id":"123"}', Undecodable.MALFORMED),
        (TOPIC, message("7"), Undecodable.MALFORMED),
        ("$sys/9MaTKc9gOP/m/dp/post/json", b"{}", Undecodable.NO_QUANTITY),
        ("$sys/9MaTKc9gOP/m/thing/pack/post", b"{}", Undecodable.UNKNOWN_TOPIC),
        ("sys/9MaTKc9gOP/m/thing/property/post", message("{}"), Undecodable.UNKNOWN_TOPIC),
    ],
    ids=["names without units", "no params", "a number", "data points", "a pack",
         "another platform's topic"],
)  # fmt: skip
def test_what_can_not_be_read_has_a_reason(topic, payload, reason):
    with pytest.raises(Unreadable) as caught:
        decode(topic, payload, ARRIVED)
    assert caught.value.reason is reason
