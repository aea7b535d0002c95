"""Making a running Mosquitto read its files again."""

import os
import signal
from pathlib import Path

from jieshui.errors import JieshuiError

_REMEDY = (
    "Nothing has changed for it yet: make it read its files again where it runs, with "
    "`systemctl reload mosquitto` or `docker compose kill --signal HUP broker`."
)


class NotReloadedError(JieshuiError):
    """Mosquitto was not told; what it should read lies ready."""


def reload_broker(configuration: Path) -> None:
    """Send SIGHUP to the Mosquitto of a configuration.

    It reads logins, rights and certificates again and puts out whoever may no longer be there.

    Raises:
        NotReloadedError: it isn't found on this machine, or is another user's.
    """
    lines = configuration.read_text(encoding="utf-8").splitlines()
    files = [line.split(maxsplit=1)[1] for line in lines if line.startswith("pid_file ")]
    try:
        pid = int(Path(files[-1]).read_text(encoding="ascii"))
        # Another program may have got the number of a Mosquitto that died.
        found = "mosquitto" in Path(f"/proc/{pid}/comm").read_text(encoding="utf-8")
        if found:
            os.kill(pid, signal.SIGHUP)
    except PermissionError as error:
        raise NotReloadedError(f"This user may not signal Mosquitto ({error}). {_REMEDY}") from None
    except (IndexError, ValueError, OSError):
        found = False
    if not found:
        raise NotReloadedError(
            f"No Mosquitto with this configuration runs on this machine. {_REMEDY}"
        )
