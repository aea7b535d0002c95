"""Files that a running broker reads: replaced whole, closed to others, kept with their owner."""

import os
import tempfile
from pathlib import Path

SECRET = 0o600
PUBLIC = 0o644


def write_whole(path: Path, content: str | bytes, mode: int = SECRET) -> None:
    """Write a file aside, make it durable and put it in place.

    Started by root, the file gets the owner of the one that it replaces, else of its folder: the
    broker runs as a user of its own.
    """
    raw = content.encode() if isinstance(content, str) else content
    like = (path if path.exists() else path.parent).stat()
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as aside:
        try:
            aside.write(raw)
            aside.flush()
            os.fchmod(aside.fileno(), mode)
            if os.geteuid() == 0:
                os.fchown(aside.fileno(), like.st_uid, like.st_gid)
            os.fsync(aside.fileno())
            Path(aside.name).replace(path)
        except BaseException:
            Path(aside.name).unlink(missing_ok=True)
            raise


def make_folder(path: Path) -> None:
    """A folder for its owner alone; one that is there stays as it is.

    Started by root, a new one gets the owner of the folder that it lies in.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        like = path.parent.stat()
        os.chown(path, like.st_uid, like.st_gid)
