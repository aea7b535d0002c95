"""How far files are in the journal of imports, so that one that broke off goes on where it stood.

A file is cut into messages in one way only, and nobody else writes this journal: how many messages
of it are durable is what the journal has grown by since it was begun. So the log is written once
an import, before its first message, and says the truth whenever the process ends.
"""

import os
import tempfile
from pathlib import Path

import msgspec

from ingest.history.rows import HistoryError
from ingest.journal.segments import sync_folder


class _Begun(msgspec.Struct):
    """The import that writes the journal now, or wrote it last."""

    name: str
    before: int
    entry: int


class _Log(msgspec.Struct):
    newest: _Begun | None = None
    earlier: dict[str, int] = {}


class HistoryLog:
    """The log in a journal's folder; used by the one process that holds the journal."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "imports.json"

    def begin(self, name: str, entry: int, *, again: bool = False) -> int:
        """Begin the import of that name, or go on with it.

        Args:
            name: tells what is imported, and how it is cut, from everything else.
            entry: the journal's newest entry.
            again: whether to begin from the start whatever was imported.

        Returns:
            How many messages of it the journal has taken already.

        Raises:
            HistoryError: the log is not one of ours.
        """
        log = self._read()
        if log.newest is not None:
            grown = entry - log.newest.entry
            log.earlier[log.newest.name] = log.newest.before + grown
        before = 0 if again else log.earlier.pop(name, 0)
        log.newest = _Begun(name, before, entry)
        self._write(log)
        return before

    def _read(self) -> _Log:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Log)
        except FileNotFoundError:
            return _Log()
        except msgspec.DecodeError as error:
            raise HistoryError(f"{self._path}: {error}") from None

    def _write(self, log: _Log) -> None:
        """Whole or not at all, and durable before a message is."""
        with tempfile.NamedTemporaryFile(dir=self._path.parent, delete=False) as aside:
            aside.write(msgspec.json.encode(log))
            aside.flush()
            os.fsync(aside.fileno())
        Path(aside.name).replace(self._path)
        sync_folder(self._path.parent)
