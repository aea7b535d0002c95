"""An alert: a person is told."""

from enum import StrEnum


class AlertState(StrEnum):
    """The life of an alert: pending → firing → acknowledged → resolved."""

    PENDING = "pending"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"

    @property
    def open(self) -> bool:
        """Whether the alert still stands."""
        return self is not AlertState.RESOLVED


class Severity(StrEnum):
    """The colour of an alert: 蓝 黄 橙 红."""

    NOTICE = "notice"
    WARNING = "warning"
    FORMAL = "formal"
    RED = "red"
