"""IoTDA as support.huaweicloud.com shows it: iot_06_v5_3010, iot_06_v5_01202, iot_06_0035."""

import pytest

from ingest.decoders import DIALECTS, Decoded, Unreadable
from water.refusals import Refusal, SetAside, Undecodable

decode = DIALECTS["iotda"]
TOPIC = "$oc/devices/m1/sys/properties/report"
SUBS = "$oc/devices/gw/sys/gateway/sub_devices/properties/report"
AT = 1_449_922_332  # 2015-12-12T12:12:12Z
ARRIVED, CLOCK_ASSUMED = 1_449_922_400, 4
DEVICE = "d4922d8a-6c8e-4396-852c-164aefa6638f"


def service(properties: str, time: str = ',"event_time":"20151212T121212Z"') -> str:
    return f'{{"service_id":"WaterMeter","properties":{properties}{time}}}'


def report(*services: str) -> bytes:
    return f'{{"services":[{",".join(services)}]}}'.encode()


def push(*services: str, resource: str = "device.property") -> bytes:
    return (
        f'{{"resource":"{resource}","event":"report","event_time":"20151212T121213Z",'
        f'"notify_data":{{"header":{{"device_id":"{DEVICE}","product_id":"ABC123456789",'
        f'"node_id":"ABC123456789","tags":[]}},"body":{{"services":[{",".join(services)}]}}}}}}'
    ).encode()


def old(kind: str, data: str) -> bytes:
    return f'{{"notifyType":"{kind}","requestId":"1","deviceId":"{DEVICE}",{data}}}'.encode()


REGISTER = service('{"register_m3":57}')
OLD = '{"serviceId":"W","data":{"total_m3":57},"eventTime":"20151212T121212Z"}'


@pytest.mark.parametrize(
    ("topic", "payload", "expected"),
    [
        (TOPIC, report(REGISTER, service('{"level":80}')), [Decoded("m1", AT, 57.0)]),
        (TOPIC, report(service('{"register_m3":"57.5","flow_m3_h":0}',
                               ',"event_time":"2015-12-12T12:12:12.333Z"')),
         [Decoded("m1", AT, 57.5, 0.0)]),
        (TOPIC, report(REGISTER, service('{"pressure_mpa":0.3}', "")),
         [Decoded("m1", AT, 57.0),
          Decoded("m1", ARRIVED, pressure_mpa=0.3, quality=CLOCK_ASSUMED)]),
        (TOPIC + "?request_id=1", report(REGISTER), [Decoded("m1", AT, 57.0)]),
        ("$oc/devices/m1/sys/properties/get/response/request_id=1", report(REGISTER),
         [Decoded("m1", AT, 57.0)]),
        ("huawei/" + TOPIC, report(REGISTER), [Decoded("m1", AT, 57.0)]),
        (SUBS, f'{{"devices":[{{"device_id":"a","services":[{REGISTER}]}},'
               f'{{"device_id":"b","services":[{REGISTER}]}}]}}'.encode(),
         [Decoded("a", AT, 57.0), Decoded("b", AT, 57.0)]),
        ("push", push(REGISTER), [Decoded(DEVICE, AT, 57.0)]),
        ("push", push(service('{"register_m3":57}', "")),
         [Decoded(DEVICE, AT + 1, 57.0, quality=CLOCK_ASSUMED)]),
        ("push", old("deviceDataChanged", f'"service":{OLD}'), [Decoded(DEVICE, AT, 57.0)]),
        ("push", old("deviceDatasChanged", f'"services":[{OLD}]'), [Decoded(DEVICE, AT, 57.0)]),
        (TOPIC, report(service('{"register_m3":57}', ',"event_time":"2015-12-12 20:12:12"')),
         [Decoded("m1", None, refusal=Refusal.TIME_WITHOUT_ZONE, detail="2015-12-12 20:12:12")]),
        (TOPIC, report(service('{"register_m3":57}', ',"event_time":""')),
         [Decoded("m1", None, refusal=Refusal.BAD_TIME)]),
        (TOPIC, report(service('{"register_m3":-Infinity}')),
         [Decoded("m1", AT, refusal=Refusal.NOT_FINITE, detail="-inf")]),
    ],
    ids=["beside another service", "milliseconds, a number as text", "a service without a time",
         "a request id behind the topic", "asked for", "behind a bridge", "through a gateway",
         "passed on", "passed on without a time: the platform's", "OceanConnect, one service",
         "OceanConnect, several", "local time", "an empty time", "no finite number"],
)  # fmt: skip
def test_services_are_readings(topic, payload, expected):
    assert decode(topic, payload, ARRIVED) == expected


@pytest.mark.parametrize(
    ("topic", "payload", "kind"),
    [
        ("$oc/devices/m1/sys/messages/up", b"any", SetAside.EVENT),
        ("$oc/devices/m1/sys/events/up", b"{}", SetAside.EVENT),
        ("push", push(resource="device.message"), SetAside.EVENT),
        ("push", push(resource="device.status"), SetAside.STATUS),
        ("push", old("deviceInfoChanged", '"deviceInfo":{}'), SetAside.EVENT),
        (TOPIC, report(), SetAside.EMPTY),
        (SUBS, b'{"devices":[]}', SetAside.EMPTY),
    ],
    ids=["message", "event", "message passed on", "status", "OceanConnect's other news",
         "no services", "no devices"],
)  # fmt: skip
def test_what_holds_no_reading_is_set_aside(topic, payload, kind):
    assert decode(topic, payload, ARRIVED) is kind


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (TOPIC, report(service('{"value":57}')), Undecodable.NO_QUANTITY),
        (TOPIC, b'{"services":{}}', Undecodable.MALFORMED),
        (TOPIC, report(service("[57]")), Undecodable.MALFORMED),
        (SUBS, f'{{"devices":[{{"services":[{REGISTER}]}}]}}'.encode(), Undecodable.MALFORMED),
        ("push", b'{"resource":"device.property"}', Undecodable.MALFORMED),
        ("push", report(REGISTER), Undecodable.UNKNOWN_TOPIC),
        ("$oc/devices/m1/sys/ota/up", b"{}", Undecodable.UNKNOWN_TOPIC),
    ],
    ids=["a name without unit", "no list", "a list of properties", "a device without id",
         "no notify_data", "a report on another topic", "another end of the topic"],
)  # fmt: skip
def test_what_can_not_be_read_has_a_reason(topic, payload, reason):
    with pytest.raises(Unreadable) as caught:
        decode(topic, payload, ARRIVED)
    assert caught.value.reason is reason
