"""How commands show tables and instants."""

from datetime import datetime, tzinfo

from rich import box
from rich.table import Column, Table


def make_table(*headings: str) -> Table:
    """A table that is narrow enough for 80 columns; what doesn't fit is wrapped, never cut."""
    columns = [Column(heading.replace("_", " "), overflow="fold") for heading in headings]
    return Table(*columns, box=box.SIMPLE_HEAD, padding=0, pad_edge=False)


def show_instant(instant: datetime | str, zone: tzinfo) -> str:
    """An instant, or its ISO 8601 text, to the second by the clocks of the city."""
    if isinstance(instant, str):
        instant = datetime.fromisoformat(instant)
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S %z}"
