"""Zigbee2MQTT: states with the fields of its page of the water meter TS0601_water_meter."""

import pytest

from ingest.decoders import DIALECTS, Decoded, Unreadable
from water.refusals import Refusal, SetAside, Undecodable

decode = DIALECTS["zigbee2mqtt"]
AT = 1_789_430_400
DEVICE_ALARM, LOW_BATTERY, EMPTY_PIPE = 1, 2, 8


def state(inside: str, last_seen: str = ',"last_seen":1789430400000') -> bytes:
    return (
        f'{{{inside},"month_consumption":1.2,"daily_consumption":0.04,"report_period":"1h",'
        f'"reverse_water_consumed":0,"temperature":18.5,"voltage":3600{last_seen}}}'
    ).encode()


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ('"water_consumed":12.345,"flow_rate":0,"fault":"no_fault"', Decoded("m", AT, 12.345, 0.0)),
        ('"flow_rate":0.12', Decoded("m", AT, None, 0.12)),
        ('"water_consumed":"12.345"', Decoded("m", AT, 12.345)),
        ('"water_consumed":1,"fault":"revflow_alarm"', Decoded("m", AT, 1.0, quality=DEVICE_ALARM)),
        ('"water_consumed":1,"fault":"battery_alarm"', Decoded("m", AT, 1.0, quality=LOW_BATTERY)),
        ('"water_consumed":1,"battery_low":true', Decoded("m", AT, 1.0, quality=LOW_BATTERY)),
        ('"water_consumed":1,"fault":"empty_pipe_alarm"',
         Decoded("m", AT, 1.0, quality=EMPTY_PIPE | DEVICE_ALARM)),
        ('"water_consumed":1,"fault":"arrearage_alarm"', Decoded("m", AT, 1.0)),
        ('"water_consumed":1,"fault":null', Decoded("m", AT, 1.0)),
        ('"water_consumed":NaN',
         Decoded("m", AT, refusal=Refusal.NOT_FINITE, detail="nan")),
    ],
    ids=["whole state", "only the flow has changed", "a number as text", "reverse flow",
         "battery by fault", "battery by flag", "empty pipe", "the prepaid credit is no fault",
         "no fault said", "NaN"],
)  # fmt: skip
def test_a_state_is_one_reading(inside, expected):
    assert decode("m", state(inside), AT + 9) == [expected]


@pytest.mark.parametrize(
    ("last_seen", "expected"),
    [
        (',"last_seen":"2026-09-15T00:00:00.250Z"', AT),
        (',"last_seen":"2026-09-15T08:00:00+08:00"', AT),
        ("", Refusal.NO_TIME),
        (',"last_seen":null', Refusal.NO_TIME),
        (',"last_seen":"2026-09-15T08:00:00"', Refusal.TIME_WITHOUT_ZONE),
    ],
    ids=["ISO_8601", "ISO_8601_local", "disabled", "never seen", "without zone"],
)
def test_the_gateway_says_when_it_heard_the_device_or_nobody_does(last_seen, expected):
    (reading,) = decode("m", state('"water_consumed":1', last_seen), AT + 9)
    assert expected in (reading.at, reading.refusal)


@pytest.mark.parametrize(
    ("rest", "address"),
    [("zigbee2mqtt/meter", "meter"), ("cellar/water meter", "cellar/water meter"),
     ("义乌/水表", "义乌/水表")],
)  # fmt: skip
def test_the_address_is_the_friendly_name(rest, address):
    assert decode(rest, state('"water_consumed":1'), AT)[0].address == address


@pytest.mark.parametrize(
    ("rest", "payload", "kind"),
    [
        ("m", state('"temperature":19'), SetAside.STATUS),
        ("m", state('"water_consumed":null'), SetAside.STATUS),
        ("zigbee2mqtt/m/availability", b'{"state":"offline"}', SetAside.STATUS),
        ("bridge/devices", b"[]", SetAside.EVENT),
        ("zigbee2mqtt/bridge/state", b'{"state":"online"}', SetAside.EVENT),
        ("m/set", b'{"report_period":"1h"}', SetAside.EVENT),
    ],
    ids=["partial update", "null", "availability", "devices", "the gateway's will", "command"],
)
def test_what_holds_no_reading_is_set_aside(rest, payload, kind):
    assert decode(rest, payload, AT) is kind


@pytest.mark.parametrize(
    ("rest", "payload", "reason"),
    [
        ("m/water_consumed", b"12.3", Undecodable.MALFORMED),
        ("m", b"[]", Undecodable.MALFORMED),
        ("m", '{"fault":"义乌水表"}'.encode("gbk"), Undecodable.NOT_UTF8),
        ("zigbee2mqtt/", state('"water_consumed":1'), Undecodable.UNKNOWN_TOPIC),
    ],
    ids=["output by attribute", "a list", "GBK", "no name"],
)
def test_what_can_not_be_read_has_a_reason(rest, payload, reason):
    with pytest.raises(Unreadable) as caught:
        decode(rest, payload, AT)
    assert caught.value.reason is reason
