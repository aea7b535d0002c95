"""What topics say is worked out once a topic, in bounded memory."""

from collections.abc import Callable
from typing import TypeVar

_LONGEST = 256
"""Length of the longest topic that is remembered; MQTT allows 65,535 bytes."""

Topic = TypeVar("Topic", str, bytes)
T = TypeVar("T")


class Remembered(dict[Topic, T]):
    """What topics say, worked out once a topic; look a topic up as in any dictionary.

    Long topics are worked out again each time: a sender who makes up new ones must not fill the
    memory with them. (A dictionary, because lru_cache takes three times as long.)

    Args:
        work_out: says it.
        topics: how many are remembered at once.
    """

    def __init__(self, work_out: Callable[[Topic], T], topics: int) -> None:
        super().__init__()
        self._work_out = work_out
        self._topics = topics

    def __missing__(self, topic: Topic) -> T:
        found = self._work_out(topic)
        if len(topic) <= _LONGEST:
            if len(self) >= self._topics:
                self.clear()
            self[topic] = found
        return found
