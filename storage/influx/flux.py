"""Questions in Flux: every name quoted, every range and filter such that the storage answers it.

Ranges are epoch seconds. No windows with an offset or a location, no `contains`, no `pivot`: the
server would do those row by row (docs/decisions/0008-influxdb-store.md).
"""

import json
import re
from collections.abc import Sequence

from storage.influx.lines import MEASUREMENT

EARLIEST, LATEST = -(2**33) + 1, 2**33 - 1
"""Before and after everything, epoch seconds (years 1697 and 2242)."""

_COLUMNS = ' |> keep(columns: ["_time", "_value", "_field", "meter_id"])'

_MEANING = re.compile(r"[\\.+*?()|\[\]{}^$/]")
"""What means something in a pattern; the server refuses needless escapes, as `re.escape` has."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""What no meter's id has, and no script: with some of it the server reads none of the script."""


def select(
    bucket: str,
    start: int,
    end: int,
    *,
    measurement: str = MEASUREMENT,
    meter_ids: Sequence[str] | None = None,
    field: str | None = None,
) -> str:
    """Points with start <= at < end (start < end); None = every meter, every field."""
    wanted = [f"r._measurement == {quote(measurement)}"]
    if field is not None:
        wanted.append(f"r._field == {quote(field)}")
    if meter_ids is not None:
        wanted.append(f"r.meter_id =~ {_any_of(meter_ids)}")
    return (
        f"from(bucket: {quote(bucket)}) |> range(start: {start}, stop: {end}) "
        f"|> filter(fn: (r) => {' and '.join(wanted)})"
    )


def answer(*questions: str) -> str:
    """A script that answers questions, in the columns that `points.read_points` reads."""
    return "\n".join(
        f'{question}{_COLUMNS} |> yield(name: "{number}")'
        for number, question in enumerate(questions)
    )


def quote(text: str) -> str:
    """A string literal of Flux; `${` begins an expression in one and must not."""
    return json.dumps(text, ensure_ascii=False).replace("${", "\\${")


def _any_of(meter_ids: Sequence[str]) -> str:
    """A pattern that fits these ids and no other; an id with a control character fits nothing.

    A pattern is pushed down and costs the index one match a meter; a chain of `or` costs more from
    a few ids on, and can't be nested deeper than some hundred. Sorted ids share their beginnings,
    from which the server's engine makes a tree.
    """
    possible = (meter_id for meter_id in sorted(meter_ids) if not _CONTROL.search(meter_id))
    ids = (_MEANING.sub(r"\\\g<0>", meter_id) for meter_id in possible)
    return f"/^(?:{'|'.join(ids)})$/"
