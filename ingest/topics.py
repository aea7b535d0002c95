"""Whose message it is and which dialect it speaks, by its topic alone."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from paho.mqtt.client import topic_matches_sub

from ingest.settings import Source

TOPIC_FILTER = "water/v1/#"
"""Everything that suppliers who can choose their topic send."""

NOBODY = "?"
"""Under this name messages are counted that belong to no registered supplier."""


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
