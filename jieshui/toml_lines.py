"""Where a setting stands in its file, so that an error can name the line."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

Place = tuple[str, ...]
"""The names of tables and key that lead to a setting; of a list's table its number, from "0"."""

_HEADING = re.compile(r"\s*(\[{1,2})([^\[\]]+)\]")
_KEY = re.compile(r"\s*(\"[^\"]*\"|'[^']*'|[\w.-]+)\s*=")
_PART = re.compile(r"\"[^\"]*\"|'[^']*'|[\w-]+")


def find_line(text: str, place: Sequence[str]) -> int | None:
    """The line of the setting, or of the innermost table around it that the file has.

    None when no part of it stands in the file.
    """
    wanted = tuple(place)
    found, deepest = None, 0
    for number, here in _places(text):
        if len(here) > deepest and here == wanted[: len(here)]:
            found, deepest = number, len(here)
    return found


def _places(text: str) -> Iterator[tuple[int, Place]]:
    """Each line that begins a table or sets a key, with its place."""
    seen = Counter[Place]()
    table: Place = ()
    for number, line in enumerate(text.splitlines(), 1):
        if heading := _HEADING.match(line):
            table = _resolve(_parts(heading[2]), seen, is_list=heading[1] == "[[")
            yield number, table
        elif key := _KEY.match(line):
            yield number, (*table, *_parts(key[1]))


def _resolve(parts: Place, seen: Counter[Place], *, is_list: bool) -> Place:
    """The place of a heading: behind the name of a list stands the number of its newest table."""
    place: Place = ()
    for depth, part in enumerate(parts, 1):
        place = (*place, part)
        if is_list and depth == len(parts):
            seen[place] += 1
        if place in seen:
            place = (*place, str(seen[place] - 1))
    return place


def _parts(dotted: str) -> Place:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
