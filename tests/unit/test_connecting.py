"""The payloads that docs/connecting.md shows are read by today's decoders."""

import pytest
from examples import DECODERS, PAYLOADS, RESTS

from water.dialects import Dialect


def test_every_dialect_is_shown():
    assert set(PAYLOADS) == set(Dialect)
    assert all(PAYLOADS.values())


@pytest.mark.parametrize(
    ("dialect", "payload"), [(name, p) for name, shown in PAYLOADS.items() for p in shown]
)
def test_a_payload_on_the_page_is_read(dialect, payload):
    readings = DECODERS[dialect](RESTS[dialect], payload, 1_789_000_000)
    assert readings
    assert all(reading.refusal is None and any(reading[2:6]) for reading in readings)
