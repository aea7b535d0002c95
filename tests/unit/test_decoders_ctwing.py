"""AEP: pushes as recorded at geekdaxue.co/read/softdev@iot/iq3b9f; names of properties are ours."""

import pytest

from ingest.decoders import DIALECTS, Decoded, Unreadable
from water.refusals import Refusal, SetAside, Undecodable

decode = DIALECTS["ctwing"]
DEVICE = "40edca19b0124480864366de4621de99"
AT = 1_650_554_828  # 2022-04-21T15:27:08Z
CLOCK_ASSUMED = 4


def push(payload: str, kind: str = "dataReport", time: str = "1650554828842") -> bytes:
    return (
        '{"upPacketSN":-1,"upDataSN":-1,"topic":"v1/up/ad19",'
        f'"timestamp":{time},"tenantId":"2000033629","serviceId":"","protocol":"lwm2m",'
        f'"productId":"15114816","payload":{payload},"messageType":"{kind}","deviceType":"",'
        f'"deviceId":"{DEVICE}","assocAssetId":"","IMSI":"undefined","IMEI":"862592051651472"}}'
    ).encode()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (push('{"register_m3":402.5,"liquid_level":402}'),
         Decoded(DEVICE, AT, 402.5, quality=CLOCK_ASSUMED)),
        (push('{"serviceId":"water","serviceData":{"volume_m3":"402.5","flow_m3_h":0}}'),
         Decoded(DEVICE, AT, 402.5, 0.0, quality=CLOCK_ASSUMED)),
        (push('{"register_m3":1}', time='"1650554828842"'),
         Decoded(DEVICE, AT, 1.0, quality=CLOCK_ASSUMED)),
        (push('{"register_m3":1}', time="null"),
         Decoded(DEVICE, None, quality=CLOCK_ASSUMED, refusal=Refusal.NO_TIME)),
        (push('{"register_m3":NaN}'),
         Decoded(DEVICE, AT, quality=CLOCK_ASSUMED, refusal=Refusal.NOT_FINITE, detail="nan")),
    ],
    ids=["decoded by the platform", "of a service, a number as text", "the time as text",
         "no time", "NaN"],
)  # fmt: skip
def test_a_data_report_is_one_reading(payload, expected):
    assert decode("v1/up/ad19", payload, 0) == [expected]


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (push("{}", "deviceOnlineOfflineReport"), SetAside.STATUS),
        (push('{"register_m3":1}', "eventReport"), SetAside.EVENT),
        (push("{}", "commandResponse"), SetAside.EVENT),
        (push("{}"), SetAside.EMPTY),
        (push("null"), SetAside.EMPTY),
    ],
    ids=["on and off", "event", "answer to a command", "no properties", "no payload"],
)
def test_what_holds_no_reading_is_set_aside(payload, kind):
    assert decode("x", payload, 0) is kind


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (push('{"APPdata":"AQFWMS4w"}'), Undecodable.NO_QUANTITY),
        (push('{"liquid_level":402}'), Undecodable.NO_QUANTITY),
        (push('{"serviceId":"notification","serviceData":{"CSQ":5,"Battery_Level":100}}'),
         Undecodable.NO_QUANTITY),
        (push('"AQFWMS4w"'), Undecodable.MALFORMED),
        (push("{}", "somethingElse"), Undecodable.MALFORMED),
        (push('{"register_m3":1}').replace(b"deviceId", b"device"), Undecodable.MALFORMED),
        (b"[]", Undecodable.MALFORMED),
    ],
    ids=["bytes of the product's own", "a name without unit", "battery and signal",
         "no object of properties", "another kind", "no device", "a list"],
)  # fmt: skip
def test_what_can_not_be_read_has_a_reason(payload, reason):
    with pytest.raises(Unreadable) as caught:
        decode("x", payload, 0)
    assert caught.value.reason is reason


def test_names_that_are_no_quantity_are_told():
    with pytest.raises(Unreadable, match="no quantity in APPdata"):
        decode("x", push('{"APPdata":"AQFWMS4w"}'), 0)
