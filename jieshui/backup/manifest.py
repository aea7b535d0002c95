"""What a backup holds: written last, so that a backup without it is an unfinished one."""

import hashlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

import msgspec

from jieshui.errors import JieshuiError

FORMAT = 1
"""Of the folder; a newer one is refused."""

_NAME = "manifest.json"


class Kept(msgspec.Struct, frozen=True):
    """One file: its length, its checksum and, where it holds rows, how many."""

    bytes: int
    sha256: str
    rows: int | None


class Manifest(msgspec.Struct, frozen=True):
    """What a backup is and holds.

    Attributes:
        format: FORMAT of the program that wrote it.
        version: that program's version.
        revision: of the registry database.
        timezone: the city's; volumes are those of its local days.
        taken_at: when everything in it was true.
        files: path in the folder → what it should be.
    """

    format: int
    version: str
    revision: str
    timezone: str
    taken_at: datetime
    files: Mapping[str, Kept]


def describe(path: Path, rows: int | None) -> Kept:
    """A file as it is; it is on the disk when this returns."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Kept(path.stat().st_size, digest, rows)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest durably; the backup is whole then."""
    path = folder / _NAME
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    with path.open("rb") as file:
        os.fsync(file.fileno())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        JieshuiError: the folder is no backup, or an unfinished one, or a newer program's.
    """
    path = folder / _NAME
    try:
        raw = path.read_bytes()
    except OSError:
        raise JieshuiError(
            f"{folder} has no {_NAME}: it is no backup, or one that was not finished"
        ) from None
    try:
        # Only the format first: of a newer one nothing else is known.
        written = msgspec.json.decode(raw, type=dict[str, object])["format"]
        if written != FORMAT:
            raise JieshuiError(
                f"{folder} has the format {written}; this version reads {FORMAT}: install the "
                "version that wrote it"
            )
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, KeyError) as error:
        raise JieshuiError(f"{path} is damaged: {error}") from None
    for name in manifest.files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise JieshuiError(f"{path} names the file {name!r}, which is not in the backup")
    return manifest


def verify(folder: Path, manifest: Manifest) -> None:
    """Compare every file with its checksum.

    Raises:
        JieshuiError: naming the file that is missing or is not what was written.
    """
    for name, kept in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise JieshuiError(f"the backup lacks its file {path}")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != kept.sha256:
                raise JieshuiError(f"{path} is damaged: it is not what was written")
