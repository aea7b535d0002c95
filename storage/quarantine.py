"""A row of the quarantine as every database can hold it."""

from collections.abc import Mapping
from typing import Any

from water.texts import storable


def storable_refused(refused: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a refused reading with storable texts; an instant beyond 64 bits is none."""
    row, at = dict(refused), refused["at"]
    row["at"] = None if at is None or abs(at) >= 2**63 else at
    for name in ("detail", "dialect", "address"):
        row[name] = storable(row[name])
    return row
