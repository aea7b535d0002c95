"""The Things Stack v3: messages as its documentation (integrations, data formats) shows them.

The water payload is the example of the Axioma Qalcosonic W1 in the public device repository
(lorawan-devices, vendor/axioma/qalcosonic-w1-codec.yaml): 0x1732 litres and 23 deltas.
"""

import pytest

from ingest.decoders import DIALECTS, Decoded, Unreadable
from water.readings import Quality
from water.refusals import Refusal, SetAside, Undecodable

decode = DIALECTS["thethingsstack"]
TOPIC = "v3/app1@ttn/devices/dev1/up"
EUI = "0004a30b001c0530"
HEARD = 1_581_956_945  # 2020-02-17T16:29:05Z
CLOCK_ASSUMED, LOW_BATTERY, DEVICE_ALARM = 4, 2, 1
AXIOMA = (
    '{"payload_format":"AXIOMA_W1_ENHANCED_24H","timestamp_unix":1788390574,"status":0,'
    '"low_battery":false,"pipe_empty":false,"backflow":false,"log_volume_m3":5.938,'
    '"delta_6_m3":0.014,"history_total_m3":0.116,"current_volume_m3":6.054,"history_multiplier":0}'
)


def message(decoded: str | None, *, top: str = "", ids: str = ',"dev_eui":"0004A30B001C0530"'):
    payload = "" if decoded is None else f',"decoded_payload":{decoded}'
    return (
        f'{{"end_device_ids":{{"device_id":"dev1","application_ids":{{"application_id":"app1"}}{ids}}},'
        f'"correlation_ids":["as:up:01"],"received_at":"2020-02-17T16:29:06.3Z"{top},'
        '"uplink_message":{"session_key_id":"AXBSH1Pk6Z0G166","f_port":2,"frm_payload":"gkHe"'
        f'{payload},"rx_metadata":[{{"gateway_ids":{{"gateway_id":"gw1"}},"rssi":-35}}],'
        '"received_at":"2020-02-17T16:29:05.9Z"}}'
    ).encode()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (message(AXIOMA), Decoded(EUI, 1_788_390_574, 6.054)),
        (message('{"total_m3":"5.938","flow_m3h":0}'),
         Decoded(EUI, HEARD, 5.938, 0.0, quality=CLOCK_ASSUMED)),
        (message('{"register_m3":0}'), Decoded(EUI, HEARD, 0.0, quality=CLOCK_ASSUMED)),
        (message('{"register_m3":1,"at":"2020-02-17T16:00:00Z"}'),
         Decoded(EUI, 1_581_955_200, 1.0)),
        (message('{"register_m3":1,"at":"2020-02-17T16:00:00"}'),
         Decoded(EUI, None, refusal=Refusal.TIME_WITHOUT_ZONE, detail="2020-02-17T16:00:00")),
        (message('{"register_m3":1,"low_battery":true,"leakage":true}'),
         Decoded(EUI, HEARD, 1.0, quality=CLOCK_ASSUMED | LOW_BATTERY | DEVICE_ALARM)),
        (message('{"register_m3":1,"pipe_empty":true}'),
         Decoded(EUI, HEARD, 1.0, quality=int(Quality.CLOCK_ASSUMED | Quality.EMPTY_PIPE))),
        (message('{"register_m3":1}', ids=""), Decoded("dev1", HEARD, 1.0, quality=CLOCK_ASSUMED)),
        (message('{"register_m3":NaN}'),
         Decoded(EUI, HEARD, quality=CLOCK_ASSUMED, refusal=Refusal.NOT_FINITE, detail="nan")),
        (b'{"received_at":"2020-02-17T16:29:05Z","uplink_message":{"decoded_payload":{"level_m":2}}}',
         Decoded("dev1", HEARD, level_m=2.0, quality=CLOCK_ASSUMED)),
    ],
    ids=["a day of the Qalcosonic W1: the newest volume at the meter's instant",
         "a number as text, heard by the network server", "a register of zero",
         "the formatter's own instant", "the formatter's local time", "alarm bits", "empty pipe",
         "a device without DevEUI", "NaN", "all that can be left out is left out"],
)  # fmt: skip
def test_an_uplink_is_one_reading(payload, expected):
    assert decode(TOPIC, payload, 0) == [expected]


def test_readings_of_one_uplink_each_have_their_instant():
    payload = message('{"readings":[{"at":1581955200,"register_m3":1},'
                      '{"at":1581956100,"register_m3":2}]}')  # fmt: skip
    assert decode(TOPIC, payload, 0) == [
        Decoded(EUI, 1_581_955_200, 1.0), Decoded(EUI, 1_581_956_100, 2.0),
    ]  # fmt: skip


def test_behind_a_bridge_the_topic_may_begin_with_something_else():
    assert decode("tts/eu1/" + TOPIC, message(AXIOMA), 0)[0].address == EUI


@pytest.mark.parametrize(
    ("topic", "payload", "kind"),
    [
        (TOPIC, message(AXIOMA, top=',"simulated":true'), SetAside.SIMULATED),
        (TOPIC, b'{"uplink_message":{"f_cnt":3}}', SetAside.EMPTY),
        (TOPIC, message('{"readings":[]}'), SetAside.EMPTY),
        ("v3/app1@ttn/devices/dev1/join", b"{}", SetAside.EVENT),
        ("v3/app1@ttn/devices/dev1/down/queued", b"{}", SetAside.EVENT),
    ],
    ids=["simulated", "no bytes", "no readings", "join", "downlink"],
)
def test_what_holds_no_reading_is_set_aside(topic, payload, kind):
    assert decode(topic, payload, 0) is kind


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (TOPIC, message(None), Undecodable.NO_QUANTITY),
        (TOPIC, message('{"temperature":21}'), Undecodable.NO_QUANTITY),
        (TOPIC, message(AXIOMA.replace('plier":0', 'plier":1')), Undecodable.NO_QUANTITY),
        (TOPIC, message('{"log_volume_m3":5.938,"delta_1_m3":0}'), Undecodable.NO_QUANTITY),
        (TOPIC, b'{"join_accept":{}}', Undecodable.MALFORMED),
        (TOPIC, message("[1]"), Undecodable.MALFORMED),
        ("devices/dev1/up", message(AXIOMA), Undecodable.UNKNOWN_TOPIC),
    ],
    ids=["no formatter", "no quantity of water", "a scale that the formatter doesn't apply",
         "a logged volume without its instant", "no uplink", "a list for an object", "other topic"],
)  # fmt: skip
def test_what_can_not_be_read_has_a_reason(topic, payload, reason):
    with pytest.raises(Unreadable) as caught:
        decode(topic, payload, 0)
    assert caught.value.reason is reason
