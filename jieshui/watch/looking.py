"""The looks of one round: other processes, certificates, the disk."""

import shutil
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from threading import Thread

import httpx
import msgspec

from jieshui.certificates import ends
from jieshui.watch.judging import Look, Trouble

_WORDS = 300
"""Of what a process says of itself, so many characters go into a notice."""
_BYTES = 16_384
"""So much of an answer is read."""


Warned = tuple[str, str]
"""A warning in Chinese and in English."""


class _Health(msgspec.Struct):
    """Of a process's answer, what is asked for here."""

    warnings: Sequence[Warned] = ()


class Targets:
    """Asks each process whether it works; all at once, each for `patience_s` at most."""

    def __init__(
        self, addresses: Mapping[str, str], ca_file: Path | None = None, patience_s: float = 10
    ) -> None:
        self._addresses = dict(addresses)
        self._patience_s = patience_s
        self._asked: dict[str, _Question] = {}
        trusted = ssl.create_default_context(cafile=ca_file)
        self._client = httpx.Client(
            timeout=patience_s,
            verify=trusted,
            trust_env=False,
            headers={"Accept-Encoding": "identity"},
        )

    def look(self) -> Iterable[Look]:
        """Ask every one; who works may still have something to be looked at."""
        deadline = time.monotonic() + self._patience_s
        questions = {name: self._ask(name, address) for name, address in self._addresses.items()}
        for name, question in questions.items():
            question.join(max(0.0, deadline - time.monotonic()))
            said = question.said
            trouble = Trouble("无正常应答", "gives no good answer", f"{question.address} {said}")
            yield Look(name, trouble if said else None)
            if not said:
                yield Look(f"{name} 提示 warnings", _describe(question.warnings))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, name: str, address: str) -> "_Question":
        """A new question, or the one of before while its answer still drips in."""
        before = self._asked.get(name)
        if before and before.is_alive():
            return before
        question = self._asked[name] = _Question(self._client, address)
        question.start()
        return question


class _Question(Thread):
    """One question; `said` is what is wrong, "" when it works, with `warnings` all the same.

    A thread, because a client's time limit is for each piece of an answer, not for the whole.
    """

    def __init__(self, client: httpx.Client, address: str) -> None:
        super().__init__(name=f"watch {address}", daemon=True)
        self.address = address
        self.said = "no whole answer in time"
        self.warnings: Sequence[Warned] = ()
        self._client = client

    def run(self) -> None:
        try:
            self.said = self._ask()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self.said = f"{type(error).__name__}: {error}"[:_WORDS]

    def _ask(self) -> str:
        with self._client.stream("GET", self.address) as answer:
            body = b""
            for part in answer.iter_raw():
                body += part
                if len(body) >= _BYTES:
                    break
            if answer.is_success:
                self.warnings = _read_warnings(body)
                return ""
        words = body[:_BYTES].decode(errors="replace").split()
        return f"{answer.status_code} {' '.join(words)}"[:_WORDS]


def _read_warnings(body: bytes) -> Sequence[Warned]:
    """What a process that works warns of; what is no such answer (a proxy's) warns of nothing."""
    try:
        return msgspec.json.decode(body, type=_Health).warnings
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()


def _describe(warnings: Sequence[Warned]) -> Trouble | None:
    if not warnings:
        return None
    chinese, english = zip(*warnings, strict=True)
    return Trouble("；".join(chinese), "; ".join(english), severity="warning")


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
