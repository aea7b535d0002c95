"""Waiting for a store, a registry or a disk that is away."""

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

log = structlog.get_logger()

T = TypeVar("T")


def until_it_answers(ask: Callable[[], T], stop: threading.Event) -> T:
    """What a store or registry answers, asked again while it is away.

    Raises:
        RetryError: `stop` was set before it answered.
    """
    tries = Retrying(
        wait=wait_random_exponential(multiplier=0.2, max=30),
        sleep=sleep_using_event(stop),
        stop=stop_when_event_set(stop),
        before_sleep=_log_away,
    )
    return tries(ask)


def _log_away(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("store, registry or disk is away, trying again", error=repr(error))
