"""Marks and times of the analysis that outlive its process."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, Table, select

from storage.registry.engine import for_reading
from storage.registry.models import RunStateRow, table_of
from storage.registry.upserts import upsert

_STATE: Table = table_of(RunStateRow)


class RunStateStore:
    """Small JSON values by name (runs.ports.RunState)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = for_reading(engine)

    def get(self, name: str) -> dict[str, Any] | None:
        """The value of `name`, or None when it was never set."""
        with self._reading.connect() as connection:
            query = select(_STATE.c.value).where(_STATE.c.name == name)
            return connection.execute(query).scalar_one_or_none()

    def set(self, name: str, value: Mapping[str, Any]) -> None:
        """Replace the value of `name`, durably."""
        with self._engine.begin() as connection:
            upsert(connection, _STATE, [{"name": name, "value": dict(value)}])
