"""Where a mapping finds a value: in the reading, in the whole payload, in the topic, or as a key.

Written as a JSON Pointer (RFC 6901, `/a/0/b`; "" is all of it) into the reading, as `payload:` and
a pointer into the whole payload, as `topic:` and the number of a level behind the dialect (from 1),
or as `key`: the name under which the reading stands in an object of readings.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple, cast

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_ESCAPE = re.compile(r"~(?![01])")


class Inside(Enum):
    """What a place is inside of."""

    READING = "reading"
    PAYLOAD = "payload"
    TOPIC = "topic"
    KEY = "key"


class Place(NamedTuple):
    """A place; `steps` are the pointer's, of a topic the number of the level alone."""

    inside: Inside
    steps: tuple[str, ...] = ()


class Found(NamedTuple):
    """One reading with all that a place may be inside of."""

    reading: Any
    key: str
    payload: Any
    levels: Sequence[str]


def parse_place(text: str) -> Place:
    """The place that a text names.

    Raises:
        ValueError: it names none.
    """
    kind, _, rest = text.partition(":")
    if text == "key":
        return Place(Inside.KEY)
    if kind == "topic":
        if not _INDEX.fullmatch(rest) or rest == "0":
            raise ValueError(f"{text!r}: behind topic: stands the number of a level, from 1")
        return Place(Inside.TOPIC, (rest,))
    if kind == "payload":
        return Place(Inside.PAYLOAD, parse_pointer(rest))
    return Place(Inside.READING, parse_pointer(text))


def parse_pointer(text: str) -> tuple[str, ...]:
    """The steps of a JSON Pointer.

    Raises:
        ValueError: it is none.
    """
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} is no place: a JSON Pointer begins with / (or is empty)")
    if _ESCAPE.search(text):
        raise ValueError(f"{text!r}: ~ is written ~0 in a JSON Pointer, and / ~1")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])


def look_up(place: Place, found: Found) -> Any:
    """What stands at a place; None where nothing does."""
    match place.inside:
        case Inside.READING:
            return follow(place.steps, found.reading)
        case Inside.PAYLOAD:
            return follow(place.steps, found.payload)
        case Inside.KEY:
            return found.key
        case Inside.TOPIC:
            level = int(place.steps[0])
            return found.levels[level - 1] if level <= len(found.levels) else None


def follow(steps: tuple[str, ...], content: Any) -> Any:
    """What the steps of a pointer lead to; None where they lead nowhere."""
    for step in steps:
        if isinstance(content, dict):
            content = cast("dict[str, Any]", content).get(step)
        elif isinstance(content, list) and _INDEX.fullmatch(step):
            each = cast("list[Any]", content)
            content = each[int(step)] if int(step) < len(each) else None
        else:
            return None
    return content
