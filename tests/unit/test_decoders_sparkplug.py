"""Sparkplug B: the example of the specification, 6.4 and chapter 4 (eclipse-sparkplug/sparkplug).

Its NDATA has the topic `spBv1.0/Sparkplug B Devices/NDATA/Raspberry Pi` and one metric, "Supply
Voltage", Float 12.3; here the metric has a name that says a quantity of water. The bytes of the
first test were encoded by hand from the field numbers of sparkplug_b.proto.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.batch import Rules
from ingest.checks import make_directory
from ingest.decoders import DIALECTS, Decoded, Unreadable
from ingest.decoders.sparkplug_payload import Payload
from ingest.journal import Entry
from jieshui.agreements import make_agreements
from jieshui.config import Settings, load_settings
from jieshui.errors import JieshuiError
from water.policy import Policy
from water.refusals import Refusal, SetAside, Undecodable

decode = DIALECTS["sparkplug"]
TOPIC = "spBv1.0/Sparkplug B Devices/NDATA/Raspberry Pi"
NODE = "Sparkplug B Devices/Raspberry Pi"
BIRTH = TOPIC.replace("NDATA", "DBIRTH") + "/dev"
MS = 1_486_144_502_122
AT = 1_486_144_502  # 2017-02-03T17:55:02Z
CLOCK_ASSUMED = 4
INT32, INT64, UINT32, FLOAT, DOUBLE = 3, 4, 7, 9, 10


def message(*metrics, timestamp=MS, **more):
    payload = Payload(timestamp=timestamp, **more)
    for metric in metrics:
        quality = metric.pop("quality", None)
        added = payload.metrics.add(**{"timestamp": MS, **metric})
        if quality is not None:
            added.properties.keys.append("Quality")
            added.properties.values.add(int_value=quality)
    return payload.SerializeToString()


def register(**value):
    return {"name": "register_m3", **value}


def test_the_bytes_are_those_of_the_field_numbers():
    stamp = bytes.fromhex("eaf2f5a8a02b")
    metric = (
        b"\x0a\x0bregister_m3" + b"\x18" + stamp + b"\x20\x09" + b"\x65" + bytes.fromhex("cdcc4441")
    )
    payload = b"\x08" + stamp + b"\x12" + bytes((len(metric),)) + metric + b"\x18\x02"
    assert decode(TOPIC, payload, AT) == [Decoded(NODE, AT, 12.3)]


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ([register(float_value=12.3, datatype=FLOAT)], [Decoded(NODE, AT, 12.3)]),
        ([register(double_value=1234.567, datatype=DOUBLE)], [Decoded(NODE, AT, 1234.567)]),
        ([register(long_value=7)], [Decoded(NODE, AT, 7.0)]),
        ([register(string_value="7.5")], [Decoded(NODE, AT, 7.5)]),
        ([register(int_value=0, datatype=UINT32)], [Decoded(NODE, AT, 0.0)]),
        ([{"name": "flow_m3_h", "int_value": 2**32 - 5, "datatype": INT32}],
         [Decoded(NODE, AT, None, -5.0)]),
        ([{"name": "flow_m3_h", "long_value": 2**64 - 5, "datatype": INT64}],
         [Decoded(NODE, AT, None, -5.0)]),
        ([register(int_value=2**32 - 5, datatype=UINT32)], [Decoded(NODE, AT, 4_294_967_291.0)]),
        ([register(int_value=2**32 - 5)],
         [Decoded(NODE, AT, refusal=Refusal.NOT_A_NUMBER, detail="[4294967291]")]),
        ([register(boolean_value=True)],
         [Decoded(NODE, AT, refusal=Refusal.NOT_A_NUMBER, detail="True")]),
        ([register(double_value=float("nan"))],
         [Decoded(NODE, AT, refusal=Refusal.NOT_FINITE, detail="nan")]),
        ([register(int_value=1), {"name": "flow_m3_h", "float_value": 0.1}],
         [Decoded(NODE, AT, 1.0, 0.1)]),
        ([register(int_value=1), {"name": "flow_m3_h", "int_value": 2, "timestamp": MS - 1000}],
         [Decoded(NODE, AT, 1.0), Decoded(NODE, AT - 1, None, 2.0)]),
        ([{"name": "M1/register_m3", "int_value": 1}, {"name": "M2/total_m3", "int_value": 2}],
         [Decoded(f"{NODE}/M1", AT, 1.0), Decoded(f"{NODE}/M2", AT, 2.0)]),
        ([register(int_value=1, quality=192)], [Decoded(NODE, AT, 1.0)]),
        ([register(int_value=1, quality=500)],
         [Decoded(NODE, AT, refusal=Refusal.SENTINEL, detail="quality 500")]),
        ([register(int_value=1, timestamp=2**63)],
         [Decoded(NODE, None, refusal=Refusal.BAD_TIME, detail="[9223372036854775808]")]),
    ],
    ids=["Float", "Double", "no data type", "a number as text", "zero", "a negative Int32",
         "a negative Int64", "a large UInt32", "a sign that nobody can know", "Boolean", "NaN",
         "two quantities of one instant", "two instants", "two meters of one node", "good", "stale",
         "no moment"],
)  # fmt: skip
def test_metrics_are_readings(metrics, expected):
    assert decode(TOPIC, message(*metrics), AT + 9) == expected


def test_without_a_time_of_its_own_a_metric_is_as_old_as_its_message():
    payload = Payload(timestamp=MS)
    payload.metrics.add(name="register_m3", int_value=1)
    assert decode(TOPIC, payload.SerializeToString(), AT + 9) == [
        Decoded(NODE, AT, 1.0, quality=CLOCK_ASSUMED)
    ]
    payload.ClearField("timestamp")
    (reading,) = decode(TOPIC, payload.SerializeToString(), AT + 9)
    assert reading.refusal is Refusal.NO_TIME


def test_a_birth_is_read_and_names_the_device():
    payload = message({"name": "Properties/maker", "string_value": "x"},
                      {**register(int_value=1), "alias": 5})  # fmt: skip
    assert decode("bridge/" + BIRTH, payload, AT) == [Decoded(f"{NODE}/dev", AT, 1.0)]


def test_a_metric_without_a_name_beside_one_that_has_it_is_a_refused_reading():
    payload = message(
        register(int_value=1),
        {"alias": 7, "double_value": 55.0},
        {"int_value": 2, "timestamp": 0},
        {"alias": 8, "is_null": True},
    )
    assert decode(TOPIC, payload, AT) == [
        Decoded(NODE, AT, 1.0),
        Decoded(NODE, AT, refusal=Refusal.UNKNOWN_METER, detail="alias 7 without a name"),
        Decoded(NODE, 0, refusal=Refusal.UNKNOWN_METER, detail="no name"),
    ]


@pytest.mark.parametrize(
    ("topic", "payload", "kind"),
    [
        (TOPIC.replace("NDATA", "NDEATH"), message({"name": "bdSeq", "long_value": 0}),
         SetAside.STATUS),
        (BIRTH.replace("DBIRTH", "DDEATH"), b"", SetAside.STATUS),
        ("spBv1.0/STATE/host", b'{"online":true,"timestamp":1486144502122}', SetAside.STATUS),
        (TOPIC.replace("NDATA", "NCMD"), b"", SetAside.EVENT),
        (TOPIC.replace("NDATA", "NBIRTH"), message({"name": "bdSeq", "long_value": 0}),
         SetAside.STATUS),
        (TOPIC, message({"name": "Supply Voltage", "float_value": 12.3}, uuid="Ignition"),
         SetAside.STATUS),
        (TOPIC, message(register(is_null=True)), SetAside.STATUS),
        (TOPIC, message(register(int_value=1, is_transient=True)), SetAside.STATUS),
    ],
    ids=["the will of a node", "death of a device", "state of the host", "command",
         "birth of a node without meters", "partial update", "null", "not to be stored"],
)  # fmt: skip
def test_what_holds_no_reading_is_set_aside(topic, payload, kind):
    assert decode(topic, payload, AT) is kind


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (TOPIC, message({"alias": 5, "int_value": 1}), Undecodable.ALIAS_UNKNOWN),
        (BIRTH, message({"name": "Totalizer", "int_value": 1}), Undecodable.NO_QUANTITY),
        (TOPIC, message(uuid="SPBV1.0_COMPRESSED"), Undecodable.NO_QUANTITY),
        (TOPIC, b'{"metrics":[]}', Undecodable.MALFORMED),
        (TOPIC.replace("NDATA", "NDAT"), b"", Undecodable.UNKNOWN_TOPIC),
        ("spAv1.0/g/NDATA/n", b"", Undecodable.UNKNOWN_TOPIC),
    ],
    ids=["numbers for names", "a birth without any quantity", "compressed", "JSON",
         "no type of message", "Sparkplug A"],
)  # fmt: skip
def test_what_can_not_be_read_has_a_reason(topic, payload, reason):
    with pytest.raises(Unreadable) as caught:
        decode(topic, payload, AT)
    assert caught.value.reason is reason


LITRES = Settings(
    mqtt={
        "sparkplug": [{
            "supplier": "east",
            "metrics": {
                "Totalizer": {"quantity": "register_m3", "unit": "l", "scale": 10},
                "Rate": {"quantity": "flow_m3_h", "unit": "l/s"},
            },
        }]
    }
)  # fmt: skip


def test_metrics_of_other_names_are_what_the_configuration_says():
    read = make_agreements(LITRES.mqtt).decoders["east", "sparkplug"]
    payload = message(
        {"name": "M1/Totalizer", "long_value": 54_321}, {"name": "M1/Rate", "float_value": 0.5},
        {"name": "M2/register_m3", "int_value": 7}, {"name": "M2/Level", "int_value": 1},
    )  # fmt: skip
    assert read(TOPIC, payload, AT) == [
        Decoded(f"{NODE}/M1", AT, 543.21, 1.8), Decoded(f"{NODE}/M2", AT, 7.0),
    ]  # fmt: skip
    assert decode(TOPIC, payload, AT) == [Decoded(f"{NODE}/M2", AT, 7.0)]


def test_two_metrics_of_one_quantity_are_two_readings_each_with_its_own_unit():
    read = make_agreements(LITRES.mqtt).decoders["east", "sparkplug"]
    both = [{"name": "Totalizer", "int_value": 100}, register(int_value=7)]
    assert read(TOPIC, message(*both), AT) == [Decoded(NODE, AT, 1.0), Decoded(NODE, AT, 7.0)]
    readings = read(TOPIC, message(*reversed(both)), AT)
    assert readings == [Decoded(NODE, AT, 7.0), Decoded(NODE, AT, 1.0)]


def test_the_configuration_is_asked_before_the_names_of_our_own():
    entry = Entry(1, 0, 1, 1, 1, "east", f"water/v1/east/sparkplug/{TOPIC}",
                  message({"name": "Totalizer", "int_value": 100}), AT * 1000, 0, 0)  # fmt: skip
    directory = make_directory(1, frozenset({"east"}), {})
    rules = Rules((), Policy(), directory, make_agreements(LITRES.mqtt))
    assert rules.read(entry).readings == [Decoded(NODE, AT, 1.0)]


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ('T = {quantity = "register_m3", unit = "l/s"}', "line 4: .*'l/s' is no unit of register"),
        ('T = {quantity = "volume", unit = "l"}', "line 4: .*quantity"),
        ('"a/T" = {quantity = "register_m3", unit = "l"}', "line 4: "),
    ],
)
def test_a_wrong_metric_stops_the_start_with_its_line(tmp_path, metrics, said):
    file = tmp_path / "jieshui.toml"
    table = '[[mqtt.sparkplug]]\nsupplier = "east"\n[mqtt.sparkplug.metrics]\n'
    file.write_text(table + metrics, "utf-8")
    with pytest.raises(JieshuiError, match=said):
        load_settings(file)


@given(st.decimals(-99_999, 99_999, places=1))
def test_a_decimal_of_six_digits_survives_its_32_bits(number):
    payload = message(register(float_value=float(number)))
    (reading,) = decode(TOPIC, payload, AT)
    assert reading.register_m3 == float(number)
