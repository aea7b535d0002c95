"""Whose message it is and which dialect it speaks, by its topic alone."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeVar

from paho.mqtt.client import topic_matches_sub

from ingest.settings import Source

TOPIC_FILTER = "water/v1/#"
"""Everything that suppliers who can choose their topic send."""

NOBODY = "?"
"""Under this name messages are counted that belong to no registered supplier."""

_LONGEST = 256
"""Characters of the longest topic that is remembered; MQTT allows 65,535 bytes."""

T = TypeVar("T")


class Route(NamedTuple):
    """What a topic says: `rest` is what the dialect reads further."""

    supplier: str
    dialect: str
    rest: str


def route(topic: str, sources: Sequence[Source]) -> Route | None:
    """Read `water/v1/{supplier}/{dialect}/…` or the topic of a source; None for any other."""
    parts = topic.split("/", 4)
    if len(parts) == 5 and parts[0] == "water" and parts[1] == "v1":
        return Route(parts[2], parts[3], parts[4])
    for source in sources:
        if topic_matches_sub(source.topic_filter, topic):
            return Route(source.supplier, source.dialect, topic)
    return None


def attribute(topic: str, sources: Sequence[Source], suppliers: Collection[str]) -> str:
    """The supplier under whose name a message is counted: a registered one, or `NOBODY`."""
    found = route(topic, sources)
    return found.supplier if found and found.supplier in suppliers else NOBODY


class Remembered(dict[str, T]):
    """What topics say, worked out once a topic; look a topic up as in any dictionary.

    Long topics are worked out again each time: a sender who makes up new ones must not fill the
    memory with them. (A dictionary, because lru_cache takes three times as long.)

    Args:
        work_out: says it.
        topics: how many are remembered at once.
    """

    def __init__(self, work_out: Callable[[str], T], topics: int) -> None:
        super().__init__()
        self._work_out = work_out
        self._topics = topics

    def __missing__(self, topic: str) -> T:
        found = self._work_out(topic)
        if len(topic) <= _LONGEST:
            if len(self) >= self._topics:
                self.clear()
            self[topic] = found
        return found
