"""The looks of one round: other processes, certificates, the disk."""

import shutil
import ssl
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import httpx

from jieshui.certificates import ends
from jieshui.watch.judging import Look, Trouble

_TIMEOUT_S = 10
_WORDS = 300
"""Of what a process says of itself, so many characters go into a notice."""


class Targets:
    """Asks each process whether it works."""

    def __init__(self, addresses: Mapping[str, str], ca_file: Path | None = None) -> None:
        self._addresses = dict(addresses)
        trusted = ssl.create_default_context(cafile=ca_file)
        self._client = httpx.Client(timeout=_TIMEOUT_S, verify=trusted, trust_env=False)

    def look(self) -> Iterable[Look]:
        """Ask every one."""
        for name, address in self._addresses.items():
            said = self._ask(address)
            trouble = Trouble("无正常应答", "gives no good answer", f"{address} {said}")
            yield Look(name, trouble if said else None)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, address: str) -> str:
        """What is wrong; "" when it works."""
        try:
            answer = self._client.get(address)
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"[:_WORDS]
        if answer.is_success:
            return ""
        return f"{answer.status_code} {' '.join(answer.text.split())}"[:_WORDS]


def look_at_certificates(paths: Iterable[Path], warn_days: int, now: datetime) -> Iterable[Look]:
    """Whether a certificate ends soon; of a file that holds several, the first to end counts."""
    for path in paths:
        yield Look(f"证书 certificate {path}", _end_of(path, warn_days, now))


def _end_of(path: Path, warn_days: int, now: datetime) -> Trouble | None:
    try:
        end = min(certificate.not_after for certificate in ends([path]))
    except (OSError, ValueError) as error:
        return Trouble("无法读取", "can't be read", str(error))
    left = (end - now).days
    if left >= warn_days:
        return None
    day = f"{end:%Y-%m-%d}"
    if left < 0:
        return Trouble(f"已于 {day} 过期", f"ended on {day}")
    zh, en = f"将于 {day} 到期，剩余 {left} 天", f"ends on {day}, {left} days left"
    return Trouble(zh, en, severity="warning")


def look_at_disk(folder: Path, least_free: float) -> Look:
    """Whether the disk under a folder is nearly full."""
    subject = f"磁盘 disk {folder}"
    try:
        disk = shutil.disk_usage(folder)
    except OSError as error:
        return Look(subject, Trouble("无法读取", "can't be read", str(error)))
    free = disk.free / disk.total
    if free >= least_free:
        return Look(subject, None)
    share = f"{free:.1%}"
    return Look(subject, Trouble(f"即将写满，剩余 {share}", f"nearly full, {share} free"))
