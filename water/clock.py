"""The clock is handed in everywhere, so that a demo can run faster than the world."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Something that knows the time."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """Showed `shown` when the machine's clock showed `anchor`; runs `speed` times as fast.

    Every process that is handed the same three values shows the same time. Speed 0 stands still.
    """

    anchor: datetime
    shown: datetime
    speed: float

    def now(self) -> datetime:
        """The present instant of the scaled time, UTC."""
        elapsed = time.time() - self.anchor.timestamp()
        return self.shown + timedelta(seconds=elapsed * self.speed)
