"""Packets are the same however the network cuts them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.broker.packets import MalformedPacketError, Packet, PacketBuffer
from ingest.journal import REPEATED, RETAINED

TOPIC = b"water/v1/north/jieshui/m1/reading"


def length(count):
    written = b""
    while True:
        count, digit = divmod(count, 128)
        written += bytes([digit | (128 if count else 0)])
        if not count:
            return written


def packet(head, body):
    return bytes([head]) + length(len(body)) + body


def publish(payload, *, head=0x32, packet_id=7, properties=b"", topic=TOPIC):
    body = len(topic).to_bytes(2, "big") + topic
    body += packet_id.to_bytes(2, "big") if head & 2 else b""
    return packet(head, body + properties + payload)


def feed(chunks, *, properties=False):
    buffer = PacketBuffer(properties=properties)
    publications, packets = [], []
    for chunk in chunks:
        some, others = buffer.feed(chunk)
        publications += some
        packets += others
    return publications, packets


CASES = [
    ("QoS 1", publish(b"x"), (TOPIC, b"x", 0, 7)),
    ("QoS 0", publish(b"x", head=0x30), (TOPIC, b"x", 0, None)),
    ("retained", publish(b"x", head=0x33), (TOPIC, b"x", RETAINED, 7)),
    ("sent again", publish(b"x", head=0x3A), (TOPIC, b"x", REPEATED, 7)),
    ("empty payload", publish(b""), (TOPIC, b"", 0, 7)),
    ("newest packet id", publish(b"x", packet_id=65_535), (TOPIC, b"x", 0, 65_535)),
    ("topic not UTF-8", publish(b"x", topic=b"\xff\xfe"), (b"\xff\xfe", b"x", 0, 7)),
    ("a length of two bytes", publish(b"x" * 300), (TOPIC, b"x" * 300, 0, 7)),
    ("a length of three bytes", publish(b"x" * 20_000), (TOPIC, b"x" * 20_000, 0, 7)),
]


@pytest.mark.parametrize(("_", "sent", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_publish_is_read_as_it_was_sent(_, sent, expected):
    assert feed([sent]) == ([expected], [])


@pytest.mark.parametrize("size", [0, 5, 127, 128, 20_000])
def test_properties_of_version_5_are_skipped(size):
    sent = publish(b"x", properties=length(size) + bytes(size))
    assert feed([sent + sent], properties=True) == ([(TOPIC, b"x", 0, 7)] * 2, [])


def test_other_packets_come_out_whole_and_in_order():
    ping, suback = packet(0xD0, b""), packet(0x90, b"\x00\x01\x01")
    exactly_once = publish(b"x", head=0x34)
    _, packets = feed([ping + publish(b"x") + suback + exactly_once])
    assert packets[:2] == [Packet(0xD0, b""), Packet(0x90, b"\x00\x01\x01")]
    assert packets[2].head == 0x34


STREAM = b"".join(sent for _, sent, _ in CASES) + packet(0xD0, b"") + publish(b"last")


@given(st.lists(st.integers(0, len(STREAM)), max_size=60))
def test_wherever_the_network_cuts_the_packets_are_the_same(places):
    cuts = [0, *sorted(places), len(STREAM)]
    chunks = [STREAM[first:end] for first, end in pairwise(cuts) if end > first]
    assert feed(chunks) == feed([STREAM])


def test_byte_by_byte_is_enough():
    short = b"".join(sent for _, sent, _ in CASES if len(sent) < 1_000)
    assert feed([bytes([byte]) for byte in short]) == feed([short])


BROKEN = [
    ("a topic longer than its packet", packet(0x32, b"\x00\x10ab")),
    ("no packet id", packet(0x32, b"\x00\x02ab")),
    ("nothing at all", packet(0x30, b"")),
    ("a length without end", b"\x32\xff\xff\xff\xff\x01"),
]


@pytest.mark.parametrize(("_", "sent"), BROKEN, ids=[case[0] for case in BROKEN])
@pytest.mark.parametrize("after", [b"", publish(b"x")], ids=["last", "more follows"])
def test_what_is_no_packet_is_said(_, sent, after):
    with pytest.raises(MalformedPacketError):
        feed([sent + after])


@pytest.mark.parametrize("properties", [b"", b"\x05", b"\x80", b"\xff\xff\xff\xff\x7f"])
def test_properties_that_never_end_are_no_packet(properties):
    with pytest.raises(MalformedPacketError):
        feed([publish(b"", properties=properties)], properties=True)
