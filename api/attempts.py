"""Limited log-in attempts, per log-in and per client address, counted in this process."""

import math
import time

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from api.settings import ApiSettings


class TooManyAttemptsError(Exception):
    """Passwords were tried too often; `retry_after_s` says when to try again."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many attempts, try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Attempts:
    """Counts attempts in a moving window of the machine's time."""

    def __init__(self, settings: ApiSettings) -> None:
        window_s = settings.attempts_window_s
        self._per_login = RateLimitItemPerSecond(
            settings.attempts_per_login, window_s, namespace="login"
        )
        self._per_address = RateLimitItemPerSecond(
            settings.attempts_per_address, window_s, namespace="address"
        )
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, login: str, address: str) -> None:
        """Count an attempt before the password is looked at.

        Raises:
            TooManyAttemptsError: when there were too many of this log-in or address.
        """
        self._hit(self._per_address, address)
        self._hit(self._per_login, login.strip().casefold())

    def count_step(self, step: str, address: str) -> None:
        """Count a step of a single sign-on, as often an address as passwords.

        Raises:
            TooManyAttemptsError: when there were too many of this step from this address.
        """
        self._hit(self._per_address, step, address)

    def forget(self, login: str) -> None:
        """A log-in that succeeded starts anew; its address keeps its count."""
        self._limiter.clear(self._per_login, login.strip().casefold())

    def _hit(self, limit: RateLimitItemPerSecond, *key: str) -> None:
        if not self._limiter.hit(limit, *key):
            reset = self._limiter.get_window_stats(limit, *key).reset_time
            raise TooManyAttemptsError(max(1, math.ceil(reset - time.time())))
