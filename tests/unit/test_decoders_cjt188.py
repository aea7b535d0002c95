"""CJ/T 188: the answer that cnblogs.com/yangykaifa/p/7010777.html takes apart, and its traps.

The page prints the checksum 08; the sum of its bytes is 13 (of its request, 80, it is right).
"""

import pytest

from ingest.decoders import DIALECTS, Decoded, Unreadable
from water.refusals import Refusal, SetAside, Undecodable

decode = DIALECTS["cjt188"]
ANSWER = ("FEFEFEFE 68 10 44332211003378 81 16 1F90 00 00776655 2C 00776655 2C"
          " 31012211051520 2184 13 16")  # fmt: skip
METER = "78330011223344"
AT = 1_431_352_891  # 2015-05-11T22:01:31+08:00


def frame(register="00776655", unit="2C", clock="31012211051520", di="1F90", kind="10", c="81"):
    body = f"{kind}44332211003378{c}16{di}00{register}{unit}00776655{unit}{clock}2184"
    return seal(bytes.fromhex("68" + body))


def seal(start: bytes) -> bytes:
    return start + bytes((sum(start) % 256, 0x16))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (ANSWER.encode(), Decoded(METER, AT, 556_677.0)),
        (ANSWER.lower().replace(" ", "").encode(), Decoded(METER, AT, 556_677.0)),
        (bytes.fromhex(ANSWER), Decoded(METER, AT, 556_677.0)),
        (frame(), Decoded(METER, AT, 556_677.0)),
        (frame(di="901F"), Decoded(METER, AT, 556_677.0)),
        (frame(register="45230100"), Decoded(METER, AT, 123.45)),
        (frame(register="50341200", unit="29"), Decoded(METER, AT, 1.2345)),
        (frame(register="00000000", kind="19"), Decoded(METER, AT, 0.0)),
        (frame(clock="00000000000000"),
         Decoded(METER, None, refusal=Refusal.BAD_TIME, detail="00000000000000")),
        (frame(clock="FFFFFFFFFFFFFF"),
         Decoded(METER, None, refusal=Refusal.BAD_TIME, detail="ffffffffffffff")),
        (frame(clock="31012230021520"),
         Decoded(METER, None, refusal=Refusal.BAD_TIME, detail="20150230220131")),
        (frame(register="FFFFFFFF"),
         Decoded(METER, AT, refusal=Refusal.SENTINEL, detail="ffffffff")),
        (frame(register="4A230100"),
         Decoded(METER, AT, refusal=Refusal.NOT_A_NUMBER, detail="0001234a")),
    ],
    ids=["as the page writes it", "small hex without blanks", "bytes behind four FE", "bytes",
         "the other order of the identifier", "two decimals", "litres", "zero, of another water",
         "a clock never set", "a clock of ones", "30 February", "all bits set", "no decimal digit"],
)  # fmt: skip
def test_an_answer_is_one_reading(payload, expected):
    assert decode("m", payload, 0) == [expected]


@pytest.mark.parametrize(
    "payload",
    [
        b"FE FE FE FE 68 10 44 33 22 11 00 33 78 01 03 1F 90 00 80 16",
        seal(bytes.fromhex("681044332211003378C103002184")),
        seal(bytes.fromhex("68104433221100337884050017A00100")),
    ],
    ids=["the request", "the answer of a meter that can't", "a valve moved"],
)
def test_what_is_no_answer_with_data_is_set_aside(payload):
    assert decode("m", payload, 0) is SetAside.EVENT


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        (ANSWER.replace("13 16", "08 16").encode(), Undecodable.MALFORMED,
         "checksum 08, computed 13"),
        (bytes.fromhex(ANSWER)[:-3], Undecodable.MALFORMED, "no frame from 68 to 16"),
        (ANSWER.encode()[:-6], Undecodable.MALFORMED, "no frame from 68 to 16"),
        (bytes.fromhex(ANSWER) * 2, Undecodable.MALFORMED, "74 bytes with a length of 22"),
        (b"\xfe\xfe", Undecodable.MALFORMED, "no frame from 68 to 16"),
        (b'{"register_m3":1}', Undecodable.MALFORMED, "neither a frame nor its hex"),
        (b"681", Undecodable.MALFORMED, "neither a frame nor its hex"),
        (seal(bytes.fromhex("6810443322110033788104" "1F900000")), Undecodable.MALFORMED,
         "4 bytes of data, not 22"),
        (frame(unit="05"), Undecodable.NO_QUANTITY, "unit 05"),
        (frame(unit="35"), Undecodable.NO_QUANTITY, "unit 35"),
        (frame(kind="20"), Undecodable.NO_QUANTITY, "type 20 is no water meter"),
        (frame(kind="30"), Undecodable.NO_QUANTITY, "type 30 is no water meter"),
        (frame(di="20D1"), Undecodable.NO_QUANTITY, "data 20d1, not 901F"),
    ],
    ids=["the checksum that the page prints", "cut off", "hex cut off", "two frames", "only wakes",
         "JSON", "half a byte", "short data", "kilowatt hours", "a flow's unit", "a heat meter",
         "a gas meter", "a month's register"],
)  # fmt: skip
def test_what_can_not_be_read_has_a_reason(payload, reason, detail):
    with pytest.raises(Unreadable) as caught:
        decode("m", payload, 0)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)


def test_every_changed_bit_of_a_frame_is_noticed():
    whole = frame()
    for i in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[i // 8] ^= 1 << i % 8
        with pytest.raises(Unreadable):
            decode("m", bytes(changed), 0)
