"""SL 651-2014: frames that toymoban.com/news/detail-686475.html takes apart, and their traps."""

import pytest

from ingest.decoders import DIALECTS, Decoded, Unreadable
from water.refusals import Refusal, SetAside, Undecodable

decode = DIALECTS["sl651"]
TIMED = ("7E7E05001122334403E832002B020034170718110016F1F1001122334448F0F01707181100"
         "201900004026190000403923000104903812109903A421")  # fmt: skip
TEST = ("7E7E010012345678123430002B020003591011154947F1F1001234567848F0F05910111549"
        "20190000052619000005392300000127381211150320FA")  # fmt: skip
KEEP_ALIVE = "7E7E01001234567812342F0008020003591011155111036BCA"
DOWN = "7E7E00112233440503E83280080200341707181100161BE5D4"
STATION = "0011223344"
AT = 1_500_346_800  # 2017-07-18T11:00+08:00
HEAD = "F1F1001122334448F0F01707181100"


def seal(start: bytes) -> bytes:
    crc = 0xFFFF
    for byte in start:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
    return start + crc.to_bytes(2)


def report(elements: str, head: str = HEAD, function: str = "32", start: str = "02") -> bytes:
    body = bytes.fromhex(f"0034170718110016{head}{elements}")
    begin = bytes.fromhex(f"7E7E05001122334403E8{function}")
    return seal(begin + len(body).to_bytes(2) + bytes.fromhex(start) + body + b"\x03")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (TIMED.encode(), [Decoded(STATION, AT, level_m=10.49)]),
        (bytes.fromhex(TIMED), [Decoded(STATION, AT, level_m=10.49)]),
        (report("2723" "00012345" "3923" "00010490"),
         [Decoded(STATION, AT, flow_m3_h=44_442.0, level_m=10.49)]),
        (report("3923" "FF000127"), [Decoded(STATION, AT, level_m=-0.127)]),
        (report("5822" "00031250" "5922" "00029800"),
         [Decoded("0011223344-1", AT, pressure_mpa=0.3125),
          Decoded("0011223344-2", AT, pressure_mpa=0.298)]),
        (report("2823" "00000010" "3C23" "00002500"),
         [Decoded("0011223344-1", AT, flow_m3_h=36.0, level_m=2.5)]),
        (report("3A1B002500" "3B1B003500"),
         [Decoded("0011223344-down", AT, level_m=2.5), Decoded("0011223344-up", AT, level_m=3.5)]),
        (report("F460" + "00" * 12 + "F5C0" + "0066" * 12 + "3923" "00010490", function="34"),
         [Decoded(STATION, AT, level_m=10.49)]),
        (report("FF381211153923" "00010490"), [Decoded(STATION, AT, level_m=10.49)]),
        (report("3923" "00010490" "F0F01707181200" "3923" "00010500", function="37"),
         [Decoded(STATION, AT, level_m=10.49), Decoded(STATION, AT + 3600, level_m=10.5)]),
        (report("2723" "FFFFFFFF" "3923" "00010490"), [Decoded(STATION, AT, level_m=10.49)]),
        (report("3923" "FFFFFFFF"),
         [Decoded(STATION, AT, refusal=Refusal.SENTINEL, detail="no value")]),
        (report("3923" "0001049A"),
         [Decoded(STATION, AT, refusal=Refusal.NOT_A_NUMBER, detail="0001049a")]),
        (report("3923" "00010490", head="F1F1001122334448"),
         [Decoded(STATION, None, refusal=Refusal.NO_TIME)]),
        (report("3923" "00010490", head="F0F00000000000"),
         [Decoded(STATION, None, refusal=Refusal.BAD_TIME, detail="0000000000")]),
    ],
    ids=["timed report, hex", "timed report, bytes", "flow of m³/s", "below zero",
         "two pressures of kPa", "flow and level of one outlet", "both sides of a gate",
         "hourly report with series of five minutes", "the sender's own element",
         "two instants", "no value beside a value", "no value", "no decimal digit",
         "no time of observation", "a clock never set"],
)  # fmt: skip
def test_a_report_is_its_readings(payload, expected):
    assert decode("s", payload, 0) == expected


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (KEEP_ALIVE.encode(), SetAside.STATUS),
        (TEST.encode(), SetAside.SIMULATED),
        (DOWN.encode(), SetAside.EVENT),
        (report("", function="36"), SetAside.EVENT),
    ],
    ids=["keep-alive", "test report", "from the centre", "a picture"],
)
def test_what_holds_no_reading_is_set_aside(payload, kind):
    assert decode("s", payload, 0) is kind


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        (TIMED.replace("A421", "A422").encode(), Undecodable.MALFORMED,
         "CRC A422, computed A421"),
        (bytes.fromhex(TIMED)[:-1], Undecodable.MALFORMED, "59 bytes with a length of 43"),
        (bytes.fromhex(TIMED) * 2, Undecodable.MALFORMED, "120 bytes with a length of 43"),
        (b"~~", Undecodable.MALFORMED, "no frame from 7E7E on"),
        (b"\x01" + b"0" * 60, Undecodable.MALFORMED, "neither a frame nor its hex"),
        (report("3923" "00010490", start="16"), Undecodable.MALFORMED, "one of several frames"),
        (report("3923" "0001"), Undecodable.MALFORMED, "element 39 is cut off"),
        (report("39"), Undecodable.MALFORMED, "element 39 is cut off"),
        (report("3812" "1099" "6823" "00000100"), Undecodable.NO_QUANTITY, ""),
        (report("0418" "000005" "3923" "00010490", function="31"), Undecodable.NO_QUANTITY,
         "series of function 31"),
    ],
    ids=["CRC", "cut off", "two frames", "two bytes", "the coding in ASCII", "several frames",
         "an element cut off", "an identifier alone", "volts and an hour's volume", "a series"],
)  # fmt: skip
def test_what_can_not_be_read_has_a_reason(payload, reason, detail):
    with pytest.raises(Unreadable) as caught:
        decode("s", payload, 0)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)


def test_every_changed_bit_of_a_frame_is_noticed():
    whole = bytes.fromhex(TIMED)
    for i in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[i // 8] ^= 1 << i % 8
        with pytest.raises(Unreadable):
            decode("s", bytes(changed), 0)
