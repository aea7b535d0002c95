"""Alerts, their steps and the outbox on the registry database."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from storage.registry.engine import for_reading
from storage.registry.models import (
    AlertEventRow,
    AlertRow,
    MeterRow,
    NoticeRow,
    SupplierRow,
    UserRow,
    ZoneRow,
)

Answer = TypeVar("Answer")

_NAMED = {"user": UserRow, "zone": ZoneRow, "supplier": SupplierRow}


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert as it stands."""

    id: int
    rule: str
    subject_kind: str
    subject_id: str
    period: str
    state: str
    severity: str
    level: str
    opened_at: datetime
    seen_at: datetime
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredSubject:
    """What the registry knows of an alert's subject."""

    name: str
    user_id: str | None = None
    supplier_id: str | None = None


@dataclass(frozen=True, slots=True)
class StoredNotice:
    """A message of the outbox with the severity that its alert has now."""

    id: int
    alert_id: int
    audience: str
    title: str
    body: str
    severity: str
    attempts: int


class AlertBook:
    """The alerts within one transaction.

    What it reads to decide on stays locked until the end: row by row on PostgreSQL; on SQLite the
    transaction holds the whole database from its beginning.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def open_alerts(self, rule: str) -> Sequence[StoredAlert]:
        """Every alert of a rule that is not resolved; nobody else changes them meanwhile."""
        # Locked in the order of their ids, so that two that lock several never wait for each other.
        rows = self._session.scalars(
            select(AlertRow)
            .where(AlertRow.rule == rule, AlertRow.state != "resolved")
            .order_by(AlertRow.id)
            .with_for_update()
        )
        return [_stored(row) for row in rows]

    def alert(self, alert_id: int) -> StoredAlert | None:
        """One alert by its id; nobody else changes it meanwhile."""
        row = self._session.get(AlertRow, alert_id, with_for_update=True)
        return _stored(row) if row else None

    def subject(self, subject_kind: str, subject_id: str) -> StoredSubject:
        """What the registry knows of a subject; its id as name where it knows nothing."""
        if subject_kind == "meter":
            return self._meter(subject_id)
        table = _NAMED.get(subject_kind)
        row = self._session.get(table, subject_id) if table else None
        return StoredSubject(row.name if row else subject_id)

    def _meter(self, meter_id: str) -> StoredSubject:
        meter = self._session.get(MeterRow, meter_id)
        if meter is None:
            return StoredSubject(meter_id)
        user = self._session.get(UserRow, meter.user_id) if meter.user_id else None
        name = user.name if user else meter.serial or meter_id
        return StoredSubject(name, meter.user_id, meter.supplier_id)

    def add_alert(self, row: Mapping[str, Any]) -> int:
        """Open an alert; its id."""
        alert = AlertRow(**row)
        self._session.add(alert)
        self._session.flush()
        return alert.id

    def change_alert(self, alert_id: int, changes: Mapping[str, Any]) -> None:
        """Change columns of an alert."""
        self._session.execute(update(AlertRow).where(AlertRow.id == alert_id).values(**changes))

    def add_event(
        self,
        alert_id: int,
        at: datetime,
        *,
        from_state: str | None,
        to_state: str,
        actor: str,
        reason: str,
    ) -> None:
        """Write a step down."""
        self._session.add(
            AlertEventRow(
                alert_id=alert_id,
                at=at,
                from_state=from_state,
                to_state=to_state,
                actor=actor,
                reason=reason,
            )
        )

    def add_notice(self, alert_id: int, audience: str, title: str, body: str, at: datetime) -> bool:
        """Put a message in the outbox; False when this audience was already told this title."""
        told = self._session.scalar(
            select(NoticeRow.id).where(
                NoticeRow.alert_id == alert_id,
                NoticeRow.audience == audience,
                NoticeRow.title == title,
            )
        )
        if told is not None:
            return False
        self._session.add(
            NoticeRow(
                alert_id=alert_id,
                audience=audience,
                title=title,
                body=body,
                created_at=at,
                next_attempt_at=at,
            )
        )
        return True


class AlertStore:
    """Alerts and the outbox; at most one open alert a rule, subject and period."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = for_reading(engine)

    def transact(self, work: Callable[[AlertBook], Answer]) -> Answer:
        """Do `work` in one transaction, and anew when another process came between.

        The unique index on open alerts refuses the second of two; the second then sees the first.
        """
        for attempt in Retrying(
            retry=retry_if_exception_type((IntegrityError, OperationalError)),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            stop=stop_after_attempt(8),
            reraise=True,
        ):
            with attempt, Session(self._engine) as session, session.begin():
                return work(AlertBook(session))
        raise AssertionError("unreachable: the last attempt raises")

    def due_notices(self, now: datetime, limit: int) -> Sequence[StoredNotice]:
        """Waiting messages whose next attempt is due, oldest first."""
        with Session(self._reading) as session:
            rows = session.execute(
                select(NoticeRow, AlertRow.severity)
                .join(AlertRow, AlertRow.id == NoticeRow.alert_id)
                .where(NoticeRow.state == "waiting", NoticeRow.next_attempt_at <= now)
                .order_by(NoticeRow.id)
                .limit(limit)
            )
            return [
                StoredNotice(
                    id=notice.id,
                    alert_id=notice.alert_id,
                    audience=notice.audience,
                    title=notice.title,
                    body=notice.body,
                    severity=severity,
                    attempts=notice.attempts,
                )
                for notice, severity in rows
            ]

    def notice_sent(self, notice_id: int, at: datetime) -> None:
        """It was delivered."""
        self._change_notice(
            notice_id, state="sent", sent_at=at, error=None, attempts=NoticeRow.attempts + 1
        )

    def notice_kept(self, notice_id: int) -> None:
        """Nobody is to be sent this one: it stays to be read."""
        self._change_notice(notice_id, state="kept")

    def notice_failed(self, notice_id: int, error: str, next_attempt_at: datetime | None) -> None:
        """Count an attempt and when to try again; None = given up."""
        later = (
            {"state": "failed"} if next_attempt_at is None else {"next_attempt_at": next_attempt_at}
        )
        self._change_notice(notice_id, error=error, attempts=NoticeRow.attempts + 1, **later)

    def _change_notice(self, notice_id: int, **changes: Any) -> None:
        with Session(self._engine) as session, session.begin():
            session.execute(update(NoticeRow).where(NoticeRow.id == notice_id).values(**changes))


def _stored(row: AlertRow) -> StoredAlert:
    return StoredAlert(
        id=row.id,
        rule=row.rule,
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        period=row.period,
        state=row.state,
        severity=row.severity,
        level=row.level,
        opened_at=row.opened_at,
        seen_at=row.seen_at,
        evidence=row.evidence,
    )
