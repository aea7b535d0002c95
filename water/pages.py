"""One page of a list, as stores give it and the API shows it."""

from dataclasses import dataclass
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]
"""One row: names of columns or figures with their values."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page; `next` is the cursor of the next one, None on the last."""

    rows: list[Row]
    next: str | None = None
