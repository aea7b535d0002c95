"""What stands in a store, as plain values to be held against what was published."""

from collections.abc import Sequence
from datetime import UTC, datetime

from installation import FailedError
from suppliers import Identity

from storage.contracts import ReadingsStore
from water import columns


def load_registers(
    readings: ReadingsStore, meters: Sequence[str], start: int, end: int
) -> dict[Identity, float]:
    """Registers of meters by meter and second, start <= at < end (epoch seconds).

    Raises:
        FailedError: an identity stands there twice.
    """
    span = [datetime.fromtimestamp(at, UTC) for at in (start, end)]
    frame = readings.load_readings(meters, *span)
    seconds = (int(moment.timestamp()) for moment in frame[columns.AT])
    rows = zip(frame[columns.METER_ID], seconds, frame[columns.REGISTER_M3], strict=True)
    stored = {(meter, at): register for meter, at, register in rows}
    if len(stored) < len(frame):
        raise FailedError(f"{len(frame) - len(stored)} readings stand in the store twice")
    return stored
