"""Two processes that decide about one alert at the same time, on both databases."""

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from alerts.service import AlertService
from storage.registry.alerts import AlertStore
from storage.registry.engine import open_registry
from storage.registry.models import AlertEventRow, AlertRow, NoticeRow
from water.findings import Evaluation, Finding, FindingKind, SubjectKind

NOW = datetime(2026, 9, 15, tzinfo=UTC)
KIND = FindingKind.OVER_PLAN


class Clock:
    def now(self):
        return NOW


class PausingBook:
    """A book whose reader is held up between looking and deciding."""

    def __init__(self, book, pause):
        self._book, self._pause = book, pause

    def __getattr__(self, name):
        method = getattr(self._book, name)
        if name not in {"open_alerts", "alert"}:
            return method

        def look(*arguments):
            seen = method(*arguments)
            self._pause()
            return seen

        return look


class PausingStore(AlertStore):
    def __init__(self, engine, pause):
        super().__init__(engine)
        self._pause = pause

    def transact(self, work):
        return super().transact(lambda book: work(PausingBook(book, self._pause)))


def over_plan(level):
    finding = Finding(KIND, SubjectKind.USER, "U1", NOW, period="2026", level=level)
    return Evaluation(KIND, NOW, frozenset({("U1", "2026")}), (finding,))


CLEAR = Evaluation(KIND, NOW, frozenset({("U1", "2026")}), ())


def meanwhile(engine, first, second):
    """`first(service)` looks; then `second(service)` does all it can; then `first` decides."""
    elsewhere = open_registry(engine.url)  # connections of its own, as another process has
    other = threading.Thread(target=second, args=[AlertService(AlertStore(elsewhere), Clock())])

    def pause():
        other.start()
        other.join(0.5)  # waits for `first` where the row is locked, is done where it is not

    first(AlertService(PausingStore(engine, pause), Clock()))
    other.join(30)
    assert not other.is_alive()
    elsewhere.dispose()
    with Session(engine) as session:
        alert = session.scalars(select(AlertRow)).one()
        steps = session.scalars(select(AlertEventRow).order_by(AlertEventRow.id))
        return alert, [(step.from_state, step.to_state) for step in steps]


@pytest.fixture
def alert_id(engine):
    AlertService(AlertStore(engine), Clock()).handle(over_plan("warning"))
    with Session(engine) as session:
        return session.scalar(select(AlertRow.id))


def test_an_acknowledgement_while_a_level_rises_is_kept(engine, alert_id):
    alert, steps = meanwhile(
        engine,
        lambda analysis: analysis.handle(over_plan("formal")),
        lambda person: person.acknowledge(alert_id, "王工", "已通知"),
    )
    assert (alert.state, alert.level, alert.acknowledged_by) == ("acknowledged", "formal", "王工")
    assert steps == [(None, "firing"), ("firing", "firing"), ("firing", "acknowledged")]


def test_an_acknowledgement_does_not_bring_a_resolved_alert_back(engine, alert_id):
    alert, steps = meanwhile(
        engine,
        lambda person: person.acknowledge(alert_id, "王工", "已通知"),
        lambda analysis: analysis.handle(CLEAR),
    )
    assert alert.state == "resolved"
    assert steps == [(None, "firing"), ("firing", "acknowledged"), ("acknowledged", "resolved")]


def test_looking_for_due_notices_waits_for_nobody(engine, alert_id):
    with engine.begin() as writer:
        writer.execute(text("UPDATE alert SET level = 'red'"))
        looker = open_registry(engine.url)
        found = []
        thread = threading.Thread(
            target=lambda: found.append(len(AlertStore(looker).due_notices(NOW, 100)))
        )
        thread.start()
        thread.join(5)
        waited = thread.is_alive()
    thread.join(30)
    looker.dispose()
    assert not waited
    with Session(engine) as session:
        assert found == [session.scalar(select(func.count()).select_from(NoticeRow))]
