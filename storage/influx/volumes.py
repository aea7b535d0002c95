# pyright: standard
# pandas, numpy and pyarrow type their values too loosely for the strict rules.
"""Kept volumes in InfluxDB: measurements `hourly` and `daily` beside the readings.

A field that was written can't be taken back and can't be NaN, but a volume that was known may
become unknown. So a point may have a field `exceptions`, a bit mask: with the bit of a volume the
volume is unknown, whatever stands there; without the bit of a share the share is that of a wholly
measured period, whatever stands there, and is not written. An hour that was wholly measured, as
most are, is one number so. Only one process may save at a time: it looks for exceptions that are
to be taken back.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import structlog

from storage.errors import StoreError
from storage.frames import require_columns, to_days, to_instants, to_seconds, whole_seconds
from storage.influx.asking import Asker, in_parts
from storage.influx.client import InfluxClient
from storage.influx.lines import METER_TAG, escape_tag, write_lines
from storage.influx.points import Points, frame_of, identify, instants_of, meters_of, names_of
from water import columns

EXCEPTIONS = "exceptions"
_BITS = {
    columns.VOLUME_M3: 1,
    columns.LOWEST_HOUR_M3: 2,
    columns.MEASURED_SHARE: 4,
    columns.ESTIMATED_SHARE: 8,
    columns.MISSING_SHARE: 16,
}
_WHOLLY_MEASURED = {
    columns.MEASURED_SHARE: 1.0,
    columns.ESTIMATED_SHARE: 0.0,
    columns.MISSING_SHARE: 0.0,
}

_BEYOND_RETENTION = re.compile(r"\b(?:beyond|outside) retention policy\b")
"""What servers say, older and newer ones, of a point that is older than their bucket keeps."""

_HOURLY_AT_ONCE_S, _DAILY_AT_ONCE_S = 10 * 86_400, 30 * 86_400
"""What is asked at once of every meter: an answer is held in memory whole."""

log = structlog.get_logger(__name__)


class InfluxVolumes:
    """Volumes in InfluxDB (storage.contracts.VolumesStore).

    Every method raises StoreUnavailableError where the server is away, StoreError where a setting
    is wrong.

    Args:
        client: the server and the bucket.
    """

    def __init__(self, client: InfluxClient) -> None:
        self._client = client
        self._hourly = Asker(client, "hourly")
        self._daily = Asker(client, "daily")

    def close(self) -> None:
        """Close every connection; nothing is lost without it."""
        self._client.close()

    def save(self, hourly: pd.DataFrame, daily: pd.DataFrame) -> None:
        """Replace the volumes of exactly the (meter, hour)s and (meter, day)s given, durably.

        What lies before the bucket's retention is not kept; that is logged.

        Raises:
            StoreError: a frame lacks a column of columns.HOURLY or DAILY, a share is no number, or
                the server refuses a volume for another reason than the retention.
            StoreUnavailableError: (an OSError) a part may have been saved; save it again.
        """
        require_columns(hourly, columns.HOURLY)
        require_columns(daily, columns.DAILY)
        kinds = ((self._hourly, hourly, columns.HOURLY), (self._daily, daily, columns.DAILY))
        every = [pa.array(list(_format_volumes(*kind)), pa.string()) for kind in kinds]
        for lines in every:
            if refused := write_lines(self._client, lines):
                _say_or_raise(refused, lines)

    def load_hourly(
        self, meter_ids: Sequence[str] | None, start: datetime, end: datetime
    ) -> pd.DataFrame:
        """Hourly volumes with start <= hour < end (columns HOURLY); None = every meter."""
        first, last = whole_seconds(start), whole_seconds(end)
        return _load(self._hourly, columns.HOURLY, meter_ids, first, last)

    def load_daily(self, meter_ids: Sequence[str] | None, first: date, last: date) -> pd.DataFrame:
        """Daily volumes with first <= day <= last (columns DAILY); None = every meter."""
        end = _midnight(last + timedelta(days=1))
        return _load(self._daily, columns.DAILY, meter_ids, _midnight(first), end)

    def compact(self, closed_before: date) -> int:  # noqa: ARG002 - InfluxDB compacts by itself
        """Nothing is left to tidy."""
        return 0


def _say_or_raise(refused: Mapping[int, str], lines: pa.StringArray) -> None:
    """Log what lies before the retention.

    Raises:
        StoreError: a line was refused for another reason.
    """
    for place, reason in refused.items():
        if not _BEYOND_RETENTION.search(reason):
            line = lines[place].as_py().rstrip()
            raise StoreError(f"InfluxDB refuses the volume {line!r}: {reason}")
    reason = next(iter(refused.values()))
    log.warning("InfluxDB keeps not every volume", refused=len(refused), reason=reason)


def _midnight(day: date) -> int:
    """A local day as the instant of its point: its midnight read as UTC, in any zone."""
    return int(datetime.combine(day, time(), UTC).timestamp())


def _format_volumes(asker: Asker, frame: pd.DataFrame, names: Sequence[str]) -> Iterator[str]:
    """A frame (columns: meter, time, values) as lines in order of time, every field a float."""
    meter, time_name, *others = names
    ordered = frame.sort_values(time_name, kind="stable")
    excepted = {name: _is_exception(name, ordered[name].to_numpy(np.float64)) for name in others}
    exceptions = np.sum([_BITS[name] * excepted[name] for name in others], axis=0)
    written = [
        ordered[name].where(excepted[name] == (name in _WHOLLY_MEASURED)).tolist()
        for name in others
    ]
    meter_ids, at = ordered[meter].tolist(), to_seconds(ordered[time_name])
    stored = _stored_exceptions(asker, meter_ids, at)
    rows = zip(
        meter_ids,
        at.tolist(),
        exceptions.tolist(),
        zip(*written, strict=True),
        strict=True,
    )
    for meter_id, second, mask, values in rows:
        fields = [
            f"{name}={value!r}"
            for name, value in zip(others, values, strict=True)
            if not math.isnan(value)
        ]
        if mask or (meter_id, second) in stored:
            fields.append(f"{EXCEPTIONS}={mask}")
        tag = f"{METER_TAG}={escape_tag(meter_id)}"
        yield f"{asker.measurement},{tag} {','.join(fields)} {second}\n"


def _stored_exceptions(
    asker: Asker, meter_ids: Sequence[str], at: np.ndarray
) -> set[tuple[str, int]]:
    """The (meter, instant)s in the span of these that have exceptions now."""
    found: set[tuple[str, int]] = set()
    for ids in in_parts(meter_ids):
        question = asker.select(int(at.min()), int(at.max()) + 1, ids, field=EXCEPTIONS)
        points = asker.ask(question, ids)
        rows = points.identities(EXCEPTIONS)
        rows = rows[points.values(EXCEPTIONS, rows) != 0]
        names = [ids[meter] for meter in meters_of(rows).tolist()]
        found.update(zip(names, instants_of(rows).tolist(), strict=True))
    return found


def _is_exception(name: str, values: np.ndarray) -> np.ndarray:
    """Whether each value is another than a wholly measured period has, or unknown.

    Raises:
        StoreError: a share is no number.
    """
    if name not in _WHOLLY_MEASURED:
        return np.isnan(values)
    if not np.isfinite(values).all():
        raise StoreError(f"{name} must be a number")
    return values != _WHOLLY_MEASURED[name]


def _load(
    asker: Asker, names: Sequence[str], meter_ids: Sequence[str] | None, start: int, end: int
) -> pd.DataFrame:
    if start >= end:
        return _volumes_frame(Points([], {}), names)
    if meter_ids is None:
        at_once_s = _HOURLY_AT_ONCE_S if names is columns.HOURLY else _DAILY_AT_ONCE_S
        begins = range(start, end, at_once_s)
        spans = [asker.ask(asker.select(s, min(end, s + at_once_s))) for s in begins]
        return _volumes_frame(_put_together(spans), names)
    parts = [asker.ask(asker.select(start, end, ids), ids) for ids in in_parts(meter_ids)]
    return frame_of(parts, lambda points: _volumes_frame(points, names))


def _put_together(spans: Sequence[Points]) -> Points:
    """Points of different spans of time, each with the meters that it has, as one."""
    ids = sorted({meter_id for points in spans for meter_id in points.meter_ids})
    places = {meter_id: place for place, meter_id in enumerate(ids)}

    def renumber(points: Points) -> Points:
        meters = np.array([places[meter_id] for meter_id in points.meter_ids], np.int64)
        fields = {
            name: (identify(meters[meters_of(known)], instants_of(known)), values)
            for name, (known, values) in points.fields.items()
        }
        return Points(ids, fields)

    return Points(ids, {}).join(*map(renumber, spans))


def _volumes_frame(points: Points, names: Sequence[str]) -> pd.DataFrame:
    """Points as columns HOURLY or DAILY."""
    meter, time_name, *others = names
    rows, others_at = points.identities(columns.VOLUME_M3), points.identities(EXCEPTIONS)
    if len(others_at):
        rows = np.union1d(rows, others_at)
    exceptions = np.nan_to_num(points.values(EXCEPTIONS, rows)).astype(np.int64)
    times = to_days if time_name == columns.DAY else to_instants
    found = {meter: names_of(points, rows), time_name: times(instants_of(rows))}
    for name in others:
        excepted = exceptions & _BITS[name] != 0
        values = points.values(name, rows)
        usual = _WHOLLY_MEASURED.get(name)
        found[name] = (
            np.where(excepted, np.nan, values)
            if usual is None
            else np.where(excepted, values, usual)
        )
    return pd.DataFrame(found)
