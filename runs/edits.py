"""People's edits laid over the loaded readings, before anything is made of them.

The store keeps what meters sent; an edit that is withdrawn leaves the figures that were before it.
"""
# pandas annotates itself only in part:
# pyright: reportArgumentType=false, reportReturnType=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd

from runs.ports import Readings
from water.city_time import CityTime
from water.columns import AT, METER_ID, QUALITY, READINGS, RECEIVED_AT, REGISTER_M3
from water.edits import Edit, EditKind, EditState
from water.readings import QUANTITIES, Quality

Edits = Mapping[str, Sequence[Edit]]
"""The edits of each meter that has some, by time and version."""

_ENTERED = int(Quality.ENTERED | Quality.CLOCK_ASSUMED)
_SECOND = timedelta(seconds=1)


def group_edits(edits: Sequence[Edit]) -> dict[str, list[Edit]]:
    """Edits by their meter, in the order given."""
    grouped: dict[str, list[Edit]] = {}
    for edit in edits:
        grouped.setdefault(edit.meter_id, []).append(edit)
    return grouped


def load_edited(
    readings: Readings, meter_ids: Sequence[str], start: datetime, end: datetime, edits: Edits
) -> pd.DataFrame:
    """Readings with start <= at < end and their neighbours, edits laid over; in any order.

    As of the store's own, of each meter the last reading before `start` and the first one after
    `end` that carry a register are among them: where an edit took that register away, the one
    beyond it.
    """
    frame = readings.load_readings(meter_ids, start, end, neighbours=True)
    counting = {m: _counting(edits[m]) for m in meter_ids if m in edits}
    if not counting:
        return frame
    ends = frame[frame[METER_ID].isin(list(counting))].groupby(METER_ID)[AT].agg(["min", "max"])
    reached = [
        edit
        for meter_id, mine in counting.items()
        for edit in _reached(mine, *_ends(ends, meter_id), start, end)
    ]
    laid = lay_over(frame, reached)
    # Where the nearest reading on a side is void, the one beyond it is looked for.
    unsure = sorted({e.meter_id for e in reached if e.kind is EditKind.VOID
                     and not start <= e.at < end})  # fmt: skip
    if not unsure:
        return laid
    further = [_load_one(readings, m, start, end, counting[m]) for m in unsure]
    return pd.concat([laid[~laid[METER_ID].isin(unsure)], *further], ignore_index=True)


def _counting(edits: Sequence[Edit]) -> list[Edit]:
    return [edit for edit in edits if edit.state is EditState.APPROVED]


def _load_one(
    readings: Readings, meter_id: str, start: datetime, end: datetime, counting: Sequence[Edit]
) -> pd.DataFrame:
    """The readings of one meter; further out while the nearest one there carries nothing."""
    begin, until = start, end
    while True:
        sent = readings.load_readings([meter_id], begin, until, neighbours=True)
        first, last = _ends(sent.groupby(METER_ID)[AT].agg(["min", "max"]), meter_id)
        laid = lay_over(sent, _reached(counting, first, last, start, end))
        dial = laid.loc[laid[REGISTER_M3].notna(), AT]
        wider_begin, wider_until = begin, until
        if first is not None and first < start and not (dial < start).any():
            wider_begin = min(begin, first)
        if last is not None and last >= end and not (dial >= end).any():
            wider_until = max(until, last + _SECOND)
        if (wider_begin, wider_until) == (begin, until):
            return laid
        begin, until = wider_begin, wider_until


def _ends(ends: pd.DataFrame, meter_id: str) -> tuple[datetime | None, datetime | None]:
    """The instants of a meter's outermost readings, of a frame by meter with min and max."""
    if meter_id not in ends.index:
        return None, None
    first, last = ends.loc[meter_id]
    return first.to_pydatetime(), last.to_pydatetime()


def _reached(
    edits: Sequence[Edit],
    first: datetime | None,
    last: datetime | None,
    start: datetime,
    end: datetime,
) -> list[Edit]:
    """The edits between the outermost readings here; all those beyond, where none is sent there."""
    return [
        edit
        for edit in edits
        if (first is None or first >= start or edit.at >= first)
        and (last is None or last < end or edit.at <= last)
    ]


def lay_over(sent: pd.DataFrame, edits: Sequence[Edit]) -> pd.DataFrame:
    """Readings with approved edits laid over them, in any order.

    Manual readings and corrections set their quantities, whatever was sent; an estimate sets what
    nobody measured; a void takes the register away. Edits of one instant follow each other.

    Args:
        sent: columns READINGS, one row a (meter_id, at).
        edits: by version within each meter and instant.

    Returns:
        Columns READINGS; `quality` says what edits did (Quality.ESTIMATED, ENTERED, OVERRULED).
    """
    if not edits:
        return sent
    wanted = {(edit.meter_id, edit.at) for edit in edits}
    near = sent[sent[METER_ID].isin([m for m, _ in wanted]) & sent[AT].isin([t for _, t in wanted])]
    rows: dict[_Key, dict[str, Any]] = {}
    touched: list[int] = []
    for index, row in near.iterrows():
        key = row[METER_ID], row[AT].to_pydatetime()
        if key in wanted:
            rows[key] = {name: row[name] for name in READINGS}
            rows[key][_SENT] = pd.notna(row[REGISTER_M3])
            touched.append(index)
    for edit in edits:
        _apply(rows, edit)
    laid = pd.DataFrame(list(rows.values()), columns=list(READINGS)).astype(dict(sent.dtypes))
    return pd.concat([sent.drop(index=touched), laid], ignore_index=True)


_Key = tuple[str, datetime]
_SENT = "register_sent"
"""Whether the meter sent a register, in a row while edits are laid over it."""


def _apply(rows: dict[_Key, dict[str, Any]], edit: Edit) -> None:
    key = edit.meter_id, edit.at
    if key not in rows:
        if edit.kind is EditKind.VOID:
            return
        rows[key] = dict.fromkeys(QUANTITIES, float("nan")) | {
            METER_ID: edit.meter_id, AT: edit.at, RECEIVED_AT: edit.at, QUALITY: _ENTERED,
            _SENT: False,
        }  # fmt: skip
    row = rows[key]
    for name in QUANTITIES:
        value = getattr(edit, name)
        if value is None or (edit.kind is EditKind.ESTIMATE and pd.notna(row[name])):
            continue
        row[name] = value
        if name == REGISTER_M3:
            _note_register(row, estimated=edit.kind is EditKind.ESTIMATE)
    if edit.kind is EditKind.VOID:
        row[REGISTER_M3] = float("nan")
        _note_register(row, estimated=False)


def _note_register(row: dict[str, Any], *, estimated: bool) -> None:
    """The register of a row is a person's now."""
    quality = Quality(int(row[QUALITY])) & ~Quality.ESTIMATED
    if estimated:
        quality |= Quality.ESTIMATED
    if row[_SENT]:
        quality |= Quality.OVERRULED
    row[QUALITY] = int(quality)


def days_edited(edits: Sequence[Edit], city: CityTime) -> tuple[date, date]:
    """The first and last local day of which people ever said something that counted."""
    return city.day_of(edits[0].at), city.day_of(edits[-1].at)
