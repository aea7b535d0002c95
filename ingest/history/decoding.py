"""How the messages of an import are read: our own form, marked as history."""

from ingest.decoders import DIALECTS, Decoded
from water.dialects import Dialect
from water.readings import Quality
from water.refusals import SetAside

_OWN = DIALECTS[Dialect.JIESHUI]


def decode_history(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:
    """Decode a message of an import, whatever dialect its addresses are of.

    The mark tells that `received_at` is when somebody imported the reading, and so nothing of the
    way that it took or of the meter's clock.
    """
    decoded = _OWN(rest, payload, received_at)
    if isinstance(decoded, SetAside):
        return decoded
    return [reading._replace(quality=reading.quality | Quality.HISTORY) for reading in decoded]
