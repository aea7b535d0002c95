"""Compressing a closed segment; a crash at any step leaves a sound one under its name."""

import os
from contextlib import suppress
from pathlib import Path

import structlog

from ingest.journal.compressed import BLOCK_BYTES, pack_block
from ingest.journal.segments import (
    compressed_path,
    open_compressed,
    segment_path,
    sync_folder,
)

log = structlog.get_logger()


def compress_segment(folder: Path, segment: int, marker: bytes) -> bool:
    """Replace the plain file of a segment by a compressed one; False when it could not be.

    Written aside, synced, renamed, read back and compared, and only then the plain one goes. As
    long as that is there readers use it, and whoever compresses next begins anew.
    """
    path, packed = segment_path(folder, segment), compressed_path(folder, segment)
    aside = packed.with_suffix(".unfinished")
    try:
        _write(path, aside, marker)
        times = path.stat()
        os.utime(aside, ns=(times.st_atime_ns, times.st_mtime_ns))
        aside.rename(packed)
        sync_folder(folder)
        if not _is_same(path, packed, marker):
            log.error("segment not compressed: it reads back differently", file=path.name)
            packed.unlink()
            return False
        path.unlink()
        sync_folder(folder)
    except OSError as error:
        log.warning("segment not compressed", file=path.name, error=repr(error))
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        return False
    return True


def _write(path: Path, aside: Path, marker: bytes) -> None:
    target = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    with path.open("rb") as source, os.fdopen(target, "wb") as file:
        total = os.fstat(source.fileno()).st_size
        for offset in range(0, total, BLOCK_BYTES):
            file.write(pack_block(marker, source.read(BLOCK_BYTES), offset, total))
        file.flush()
        os.fsync(file.fileno())


def _is_same(path: Path, packed: Path, marker: bytes) -> bool:
    """Whether a compressed file gives the plain one back, block by block."""
    content = open_compressed(packed, marker)
    with path.open("rb") as source:
        if content.length != os.fstat(source.fileno()).st_size:
            return False
        return all(
            content.read(offset, BLOCK_BYTES) == source.read(BLOCK_BYTES)
            for offset in range(0, content.length, BLOCK_BYTES)
        )
