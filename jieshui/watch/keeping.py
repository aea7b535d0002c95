"""What the watch remembers over its own restarts: one small file, written whole or not at all."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from jieshui.watch.judging import Letter, Standing

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter that one address has not read yet.

    Attributes:
        place: which of the addresses, counted from 0.
        letter: what it says.
        due: when to try next.
        attempts: how often it was tried.
    """

    place: int
    letter: Letter
    due: datetime
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """The troubles that people were told of, and the letters on their way."""

    standings: dict[str, Standing] = field(default_factory=dict[str, Standing])
    letters: tuple[Waiting, ...] = ()


_KEPT = TypeAdapter(Kept)


class Memory:
    """The file; without it each trouble is told once more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = Kept()

    def load(self) -> Kept:
        """What the file says; nothing where it can't be read."""
        try:
            self._kept = _KEPT.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValidationError) as error:
            log.warning("watch_forgot", file=str(self._path), error=str(error))
        return self._kept

    def save(self, kept: Kept) -> None:
        """Keep it; a file that can't be written stops nothing, and is tried again next time."""
        told = {name: each for name, each in kept.standings.items() if each.told_at is not None}
        kept = Kept(told, kept.letters)
        if kept == self._kept:
            return
        try:
            self._write(_KEPT.dump_json(kept))
        except OSError as error:
            log.warning("watch_can_not_remember", file=str(self._path), error=str(error))
        else:
            self._kept = kept

    def _write(self, content: bytes) -> None:
        aside = self._path.with_suffix(".new")
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)
