"""Tasmota: the telemetry of a pulse counter as skittleson shows it, and its traps.

Its page (counting with a WD-01ADE) has `tele/tasmota_XXXXX/SENSOR` and the payload RECORDED; the
component of hhaim for a water counter has the same with C1 0 after a restart.
"""

from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from ingest.decoders import Decoded, Unreadable
from ingest.decoders.tasmota import Counters, make_decoder
from jieshui.mqtt_sections import MqttTasmota
from water.refusals import Refusal, SetAside, Undecodable

TEN_LITRES = {"tasmota_0A1B2C/C1": Fraction(10), "tasmota_0A1B2C/C3": Fraction("0.5")}
decode = make_decoder(Counters(ZoneInfo("Asia/Shanghai"), TEN_LITRES))
TOPIC = "tele/tasmota_0A1B2C/SENSOR"
C1 = "tasmota_0A1B2C/C1"
AT = 1_640_914_799  # 2021-12-31T09:39:59+08:00
RECORDED = b'{"Time":"2021-12-31T09:39:59","COUNTER":{"C1":3}}'


def counted(count: str, time: str = "2021-12-31T09:39:59") -> bytes:
    return f'{{"Time":"{time}","COUNTER":{{"C1":{count}}}}}'.encode()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (RECORDED, Decoded(C1, AT, 0.03)),
        (counted("0", "2018-12-21T09:16:59"), Decoded(C1, 1_545_355_019, 0.0)),
        (counted('"123456"'), Decoded(C1, AT, 1234.56)),
        (counted("7.0"), Decoded(C1, AT, 0.07)),
        (counted("3", "2021-12-31T01:39:59Z"), Decoded(C1, AT, 0.03)),
        (counted("3.5"), Decoded(C1, AT, refusal=Refusal.NOT_A_NUMBER, detail="3.5 pulses")),
        (counted("null"), Decoded(C1, AT, refusal=Refusal.NOT_A_NUMBER, detail="no quantity")),
        (counted("NaN"), Decoded(C1, AT, refusal=Refusal.NOT_FINITE, detail="nan")),
        (counted("3", "2021-12-31"),
         Decoded(C1, None, refusal=Refusal.TIME_WITHOUT_ZONE, detail="2021-12-31")),
        (counted("3", "soon"), Decoded(C1, None, refusal=Refusal.BAD_TIME, detail="soon")),
        (b'{"COUNTER":{"C1":3}}', Decoded(C1, None, refusal=Refusal.NO_TIME)),
    ],
    ids=["as recorded: three pulses of ten litres, local time", "nothing counted since a restart",
         "a number as text", "a whole number with a point", "a zone in the text wins",
         "half a pulse is no pulse", "null", "NaN", "a day is no moment", "no instant", "no time"],
)  # fmt: skip
def test_pulses_are_a_register(payload, expected):
    assert decode(TOPIC, payload, AT + 9) == [expected]


SEVERAL = b'{"Time":"2021-12-31T09:39:59","COUNTER":{"C1":3,"C2":0,"C3":5}}'


def test_each_counter_that_is_configured_is_a_meter_and_another_one_waits_in_quarantine():
    first, second, third = decode(TOPIC, SEVERAL, AT)
    assert (first, third) == (Decoded(C1, AT, 0.03), Decoded("tasmota_0A1B2C/C3", AT, 0.0025))
    assert second[:3] == ("tasmota_0A1B2C/C2", AT, None)
    assert second.refusal is Refusal.UNKNOWN_METER


def test_a_counter_of_which_the_configuration_says_that_it_counts_no_water_is_passed_over():
    table = MqttTasmota.model_validate({
        "supplier": "east", "timezone": "Asia/Shanghai",
        "litres_per_pulse": {"tasmota_0A1B2C/C2": 0, **dict.fromkeys(TEN_LITRES, 10)},
    })  # fmt: skip
    read = make_decoder(table.counters())
    assert [reading.address[-2:] for reading in read(TOPIC, SEVERAL, AT)] == ["C1", "C3"]
    assert read(TOPIC, SEVERAL.replace(b'"C1":3,', b"").replace(b',"C3":5', b""), AT) is (
        SetAside.STATUS
    )


def test_pulses_of_a_device_that_is_not_configured_wait_in_quarantine():
    (reading,) = decode("tele/other/SENSOR", RECORDED, AT)
    assert (reading.address, reading.refusal) == ("other/C1", Refusal.UNKNOWN_METER)


@pytest.mark.parametrize("time", ["2026-10-25T02:30:00", "2026-03-29T02:30:00"])
def test_an_hour_that_comes_twice_or_never_names_no_moment(time):
    berlin = make_decoder(Counters(ZoneInfo("Europe/Berlin"), TEN_LITRES))
    (reading,) = berlin(TOPIC, counted("3", time), AT)
    assert reading.refusal is Refusal.TIME_WITHOUT_ZONE


@pytest.mark.parametrize(
    ("topic", "payload", "kind"),
    [
        ("tele/tasmota_0A1B2C/LWT", b"Online", SetAside.STATUS),
        ("tele/tasmota_0A1B2C/STATE", b'{"Time":"2021-12-31T09:39:59"}', SetAside.STATUS),
        (TOPIC, b'{"Time":"2021-12-31T09:39:59","ENERGY":{"Power":3}}', SetAside.STATUS),
        ("stat/tasmota_0A1B2C/RESULT", b'{"Counter1":3}', SetAside.EVENT),
        ("cmnd/tasmota_0A1B2C/Counter1", b"0", SetAside.EVENT),
    ],
    ids=["the last will on the same tree", "state", "another sensor", "an answer", "a command"],
)
def test_what_holds_no_reading_is_set_aside(topic, payload, kind):
    assert decode(topic, payload, AT) is kind


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (TOPIC, b"3", Undecodable.MALFORMED),
        (TOPIC, b'{"COUNTER":3}', Undecodable.MALFORMED),
        (TOPIC, '{"Time":"义乌水表"}'.encode("gbk"), Undecodable.NOT_UTF8),
        ("tasmota_0A1B2C/SENSOR", RECORDED, Undecodable.UNKNOWN_TOPIC),
    ],
    ids=["a number alone", "a number for the counters", "GBK", "no prefix"],
)
def test_what_can_not_be_read_has_a_reason(topic, payload, reason):
    with pytest.raises(Unreadable) as caught:
        decode(topic, payload, AT)
    assert caught.value.reason is reason
