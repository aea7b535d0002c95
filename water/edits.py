"""What people say about readings: edits laid over what meters sent, and conflicts decided."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EditKind(StrEnum):
    """Why somebody edits a reading. A stored name: renaming one is a decision."""

    MANUAL = "manual"
    """A person stood before the meter and read it 人工抄表."""
    CORRECTION = "correction"
    """What the meter sent is wrong; this is what it should have been 更正."""
    ESTIMATE = "estimate"
    """Nobody read the meter; this is what it is taken to have shown 估抄."""
    VOID = "void"
    """The register that the meter sent counts for nothing 作废."""


class EditState(StrEnum):
    """Where an edit stands. A stored name: renaming one is a decision."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"


class Decision(StrEnum):
    """What a person decides between two values, or two meter changes, that contradict each other.

    A stored name: renaming one is a decision.
    """

    KEEP = "keep"
    """What stood there stays."""
    TAKE = "take"
    """What was offered takes its place."""


class EventState(StrEnum):
    """What became of a meter change that a supplier sent. A stored name."""

    APPLIED = "applied"
    """It stands in the registry."""
    OPEN = "open"
    """It contradicts one that stands: a person decides."""
    KEPT = "kept"
    """A person decided for the one that stood."""
    REFUSED = "refused"
    """It can't be used; such events are counted by supplier and reason."""


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of the reading of a meter at an instant; its values never change, its state does.

    Units as in water.readings. Several edits of one instant are laid over each other in the order
    of their versions. A void has no value: it takes the register away.

    Attributes:
        id: its number.
        meter_id: the meter.
        at: the instant of the reading, UTC, whole seconds.
        version: which edit of this meter and instant it is, from 1.
        kind: why it is made.
        state: only approved ones count.
        register_m3: the register, or None where the edit leaves it; likewise the others.
        approved_at: since when it counts or counted; None = it never did.
    """

    id: int
    meter_id: str
    at: datetime
    version: int
    kind: EditKind
    state: EditState
    register_m3: float | None = None
    flow_m3_h: float | None = None
    pressure_mpa: float | None = None
    level_m: float | None = None
    approved_at: datetime | None = None


class NotFoundError(KeyError):
    """There is no such meter, edit or event: apart from a KeyError, which may be a bug."""


class RefusedEditError(ValueError):
    """What somebody wants to do to an edit, a conflict or a meter change can't be done: why.

    Attributes:
        english: the reason, in a sentence.
        chinese: the same in Chinese.
    """

    def __init__(self, english: str, chinese: str) -> None:
        super().__init__(f"{english} {chinese}")
        self.english, self.chinese = english, chinese
