"""What the watch remembers over its own restarts: one small file, written whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from jieshui.watch.judging import Standing

log = structlog.get_logger()

_STANDINGS = TypeAdapter(dict[str, Standing])


class Memory:
    """The troubles that people were told of; without its file each is told once more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: Mapping[str, Standing] = {}

    def load(self) -> dict[str, Standing]:
        """What stood when the file was written; nothing where it can't be read."""
        try:
            self._kept = _STANDINGS.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValidationError) as error:
            log.warning("watch_forgot", file=str(self._path), error=str(error))
        return dict(self._kept)

    def save(self, standings: Mapping[str, Standing]) -> None:
        """Keep what people were told of; a file that can't be written stops nothing."""
        told = {name: each for name, each in standings.items() if each.told_at is not None}
        if told == self._kept:
            return
        try:
            self._write(_STANDINGS.dump_json(told))
        except OSError as error:
            log.warning("watch_can_not_remember", file=str(self._path), error=str(error))
        self._kept = told

    def _write(self, content: bytes) -> None:
        aside = self._path.with_suffix(".new")
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)
