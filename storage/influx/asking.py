"""Questions about one measurement, put to the server and read."""

from collections.abc import Sequence

from storage.influx.client import InfluxClient
from storage.influx.flux import answer, select
from storage.influx.points import Points, read_each, read_points

_AT_ONCE = 100
"""Questions in one script."""

_METERS_AT_ONCE = 1_000
"""Longer lists are asked in parts: an answer is held in memory whole."""


class Asker:
    """Asks about the points of one measurement.

    Args:
        client: the server and the bucket.
        measurement: reading, hourly or daily.
    """

    def __init__(self, client: InfluxClient, measurement: str) -> None:
        self._client = client
        self.measurement = measurement

    def select(
        self,
        start: int,
        end: int,
        meter_ids: Sequence[str] | None = None,
        *,
        field: str | None = None,
    ) -> str:
        """The question for points with start <= at < end; None = every meter, every field."""
        bucket = self._client.settings.bucket
        return select(
            bucket, start, end, measurement=self.measurement, meter_ids=meter_ids, field=field
        )

    def ask(self, question: str, meter_ids: list[str] | None = None) -> Points:
        """The points that answer a question; `meter_ids` (sorted) keep their places in it."""
        return read_points(self._client.csv(answer(question)), meter_ids)

    def ask_each(self, questions: Sequence[str], meter_ids: list[str]) -> list[Points]:
        """The points that answer each of a few questions, asked at once."""
        return read_each(self._client.csv(answer(*questions)), len(questions), meter_ids)

    def ask_all(self, questions: Sequence[str], meter_ids: list[str]) -> Points:
        """The points that answer any of the questions."""
        scripts = [answer(*questions[i : i + _AT_ONCE]) for i in range(0, len(questions), _AT_ONCE)]
        found = [read_points(self._client.csv(script), meter_ids) for script in scripts]
        return Points(meter_ids, {}).join(*found)


def in_parts(meter_ids: Sequence[str]) -> list[list[str]]:
    """Meters, each once, sorted, cut into lists that are asked one by one."""
    ids = sorted(set(meter_ids))
    return [ids[i : i + _METERS_AT_ONCE] for i in range(0, len(ids), _METERS_AT_ONCE)]
