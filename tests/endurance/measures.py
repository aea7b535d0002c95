"""What a process uses, from outside."""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

_EVERY_S = 0.25
_PAGE = 4096
_GROWTH = 1.2
_SLACK = 48 << 20
"""How much more memory the second half of a load may take than the first, and still be flat."""


class Memory:
    """Samples a process's resident memory, and judges whether a load made it grow."""

    def __init__(self, pid: int) -> None:
        self._samples: list[int] = []
        self._statm = Path(f"/proc/{pid}/statm")
        self._spans: list[tuple[str, int, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @contextmanager
    def span(self, name: str) -> Generator[None]:
        """What is taken in the block is judged under this name."""
        first = len(self._samples)
        yield
        self._spans.append((name, first, len(self._samples)))

    def judge(self) -> list[str]:
        """Print what each span took; what is wrong with it."""
        return [problem for span in self._spans if (problem := self._judge_span(*span))]

    def _judge_span(self, name: str, first: int, last: int) -> str:
        middle = (first + last) // 2
        if not first < middle < last:
            return ""
        early, late = max(self._samples[first:middle]), max(self._samples[middle:last])
        told = f"{say_bytes(self._samples[first])}, then {say_bytes(early)}, then {say_bytes(late)}"
        print(f"ingest's memory {name}: {told} (at its start, most of each half)")
        return f"ingest's memory grows {name}: {told}" if late > _GROWTH * early + _SLACK else ""

    def _sample(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                pages = int(self._statm.read_text(encoding="ascii").split()[1])
            except OSError:  # it has ended; whoever asks finds that out
                return
            self._samples.append(pages * _PAGE)


def read_cpu_seconds(pid: int) -> float:
    """What a process has had of the processors' time so far, for itself and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def measure_folder(folder: Path) -> int:
    """Bytes of every file below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def say_bytes(count: float) -> str:
    """In the unit that people read."""
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"
