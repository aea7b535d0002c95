"""Making a running Mosquitto read its files again."""

import os
import signal
from pathlib import Path


def reload_broker(configuration: Path) -> bool:
    """Send SIGHUP to the Mosquitto of a configuration; False when it isn't found on this machine.

    It reads logins, rights and certificates again and puts out whoever may no longer be there.
    """
    lines = configuration.read_text(encoding="utf-8").splitlines()
    files = [line.split(maxsplit=1)[1] for line in lines if line.startswith("pid_file ")]
    try:
        pid = int(Path(files[-1]).read_text(encoding="ascii"))
        # Another program may have got the number of a Mosquitto that died.
        if "mosquitto" not in Path(f"/proc/{pid}/comm").read_text(encoding="utf-8"):
            return False
        os.kill(pid, signal.SIGHUP)
    except (IndexError, ValueError, OSError):
        return False
    return True
