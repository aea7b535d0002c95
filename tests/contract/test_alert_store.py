"""The alert store held to alerts.ports, through the service that uses it."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from alerts.service import AlertService
from storage.registry.alerts import AlertStore
from storage.registry.engine import open_registry
from storage.registry.models import (
    AlertEventRow,
    AlertRow,
    Base,
    MeterRow,
    NoticeRow,
    SupplierRow,
    UserRow,
)
from water.findings import Evaluation, Finding, FindingKind, SubjectKind

NOW = datetime(2026, 9, 15, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.at = NOW

    def now(self):
        return self.at


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'registry.sqlite'}"


@pytest.fixture
def engine(url):
    engine = open_registry(url)
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(SupplierRow(id="S1", name="义乌水务"))
        session.add(UserRow(id="U1", name="义乌纺织", sector="textile"))
        session.flush()
        session.add(MeterRow(id="M1", supplier_id="S1", role="customer", user_id="U1"))
        session.add(MeterRow(id="Z1", supplier_id="S1", role="zone_inlet"))
    yield engine
    engine.dispose()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def alerts(engine, clock):
    return AlertService(AlertStore(engine), clock)


def over_plan(level="warning", used=1010.0, period="2026"):
    finding = Finding(
        FindingKind.OVER_PLAN,
        SubjectKind.USER,
        "U1",
        NOW,
        period=period,
        level=level,
        figures={"used_m3": used, "projected_m3": float("nan")},
        thresholds={"plan_m3": 1000.0},
        shares={"measured_share": 0.99},
        readings_from=NOW - timedelta(days=200),
        readings_to=NOW,
    )
    return Evaluation(FindingKind.OVER_PLAN, NOW, frozenset({("U1", period)}), (finding,))


def meter_found(kind, meter_id):
    finding = Finding(kind, SubjectKind.METER, meter_id, NOW)
    return Evaluation(kind, NOW, frozenset({(meter_id, "")}), (finding,))


def clear(kind=FindingKind.OVER_PLAN, subject=("U1", "2026")):
    return Evaluation(kind, NOW, frozenset({subject}), ())


def rows(engine, table):
    with Session(engine, expire_on_commit=False) as session:
        return list(session.scalars(select(table).order_by(table.id)))


def test_a_finding_opens_one_alert_with_evidence_event_and_notices(engine, alerts):
    alerts.handle(over_plan())
    alerts.handle(over_plan(used=1020.0))
    (alert,) = rows(engine, AlertRow)
    assert (alert.rule, alert.subject_id, alert.period) == ("over_plan", "U1", "2026")
    assert (alert.state, alert.severity, alert.level) == ("firing", "warning", "warning")
    assert alert.evidence["figures"] == {"used_m3": 1020.0, "projected_m3": None}
    assert alert.evidence["thresholds"] == {"plan_m3": 1000.0}
    assert alert.evidence["readings_to"] == NOW.isoformat()
    (event,) = rows(engine, AlertEventRow)
    assert (event.from_state, event.to_state, event.reason) == (None, "firing", "发现 · found")
    notices = rows(engine, NoticeRow)
    assert [n.audience for n in notices] == ["bureau", "user:U1"]
    assert {n.title for n in notices} == {"【黄色预警】超计划用水：义乌纺织（U1）2026"}
    assert "used_m3: 1010 m³" in notices[0].body


def test_a_level_that_rises_tells_each_audience_once_however_often_it_falls_back(engine, alerts):
    for level in ("formal", "red", "formal", "red", "red"):
        alerts.handle(over_plan(level))
    titles = [n.title[:6] for n in rows(engine, NoticeRow) if n.audience == "bureau"]
    assert titles == ["【橙色警示】", "【红色警报】"]
    reasons = [e.reason for e in rows(engine, AlertEventRow)]
    assert reasons == [
        "发现 · found",
        "由 formal 升为 red · rose from formal to red",
        "由 red 变为 formal · went from red to formal",
        "由 formal 升为 red · rose from formal to red",
    ]


def test_a_resolved_alert_that_returns_opens_a_new_one_and_tells_again(engine, alerts):
    alerts.handle(over_plan())
    alerts.handle(clear())
    alerts.handle(over_plan())
    assert [a.state for a in rows(engine, AlertRow)] == ["resolved", "firing"]
    assert [n.alert_id for n in rows(engine, NoticeRow) if n.audience == "bureau"] == [1, 1, 2]


def test_an_alert_that_was_not_judged_stays(engine, alerts):
    alerts.handle(over_plan())
    alerts.handle(Evaluation(FindingKind.OVER_PLAN, NOW, frozenset(), ()))
    alerts.handle(clear(subject=("U1", "2025")))
    assert [a.state for a in rows(engine, AlertRow)] == ["firing"]


def test_a_clear_alert_is_resolved_when_it_has_been_clear_long_enough(engine, alerts, clock):
    kind = FindingKind.CONTINUOUS_FLOW
    alerts.handle(meter_found(kind, "M1"))
    clock.at += timedelta(hours=23)
    alerts.handle(clear(kind, ("M1", "")))
    assert rows(engine, AlertRow)[0].state == "firing"
    clock.at += timedelta(hours=1)
    alerts.handle(clear(kind, ("M1", "")))
    (alert,) = rows(engine, AlertRow)
    assert (alert.state, alert.resolved_at) == ("resolved", clock.at)


def test_a_meters_notice_goes_to_its_own_user_and_supplier_only(engine, alerts):
    alerts.handle(meter_found(FindingKind.STOPPED_METER, "M1"))
    alerts.handle(meter_found(FindingKind.CONTINUOUS_FLOW, "M1"))
    alerts.handle(meter_found(FindingKind.CONTINUOUS_FLOW, "Z1"))
    told = [(n.alert_id, n.audience) for n in rows(engine, NoticeRow)]
    assert told == [
        (1, "utility"),
        (1, "supplier:S1"),
        (2, "user:U1"),
        (2, "utility"),
        (3, "utility"),  # the inlet belongs to no user
    ]


def test_somebody_acknowledges_and_it_is_written_down(engine, alerts):
    alerts.handle(over_plan())
    alerts.acknowledge(1, "王工", "已通知用户")
    (alert,) = rows(engine, AlertRow)
    assert (alert.state, alert.acknowledged_by, alert.acknowledged_at) == (
        "acknowledged", "王工", NOW,
    )  # fmt: skip
    event = rows(engine, AlertEventRow)[-1]
    assert (event.actor, event.reason, event.from_state) == ("王工", "已通知用户", "firing")
    with pytest.raises(ValueError, match="acknowledged"):
        alerts.acknowledge(1, "王工", "again")
    with pytest.raises(KeyError):
        alerts.acknowledge(99, "王工", "none")


def test_the_database_itself_refuses_a_second_open_alert(engine):
    row = {
        "rule": "over_plan", "subject_kind": "user", "subject_id": "U1", "period": "2026",
        "state": "firing", "severity": "warning", "opened_at": NOW, "seen_at": NOW, "evidence": {},
    }  # fmt: skip
    with Session(engine) as session, session.begin():
        session.add(AlertRow(**row | {"state": "resolved"}))
        session.add(AlertRow(**row))
    with pytest.raises(IntegrityError), Session(engine) as session, session.begin():
        session.add(AlertRow(**row))


def test_two_processes_that_find_the_same_open_one_alert(url, engine, clock):
    together = threading.Barrier(2)
    first_looks = threading.local()

    class Slow(AlertStore):
        """Both have looked for open alerts before either of them opens one."""

        def transact(self, work):
            if not hasattr(first_looks, "done"):
                first_looks.done = True
                together.wait(timeout=10)
            return super().transact(work)

    engines = [open_registry(url) for _ in range(2)]
    services = [AlertService(Slow(e), clock) for e in engines]
    threads = [threading.Thread(target=s.handle, args=[over_plan()]) for s in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in engines:
        each.dispose()
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(AlertRow)) == 1
        assert session.scalar(select(func.count()).select_from(NoticeRow)) == 2


def test_work_that_collides_with_another_process_is_done_anew(url, engine):
    """The other process opens the alert between our look and our own opening."""
    row = {
        "rule": "over_plan", "subject_kind": "user", "subject_id": "U1", "period": "2026",
        "state": "firing", "severity": "warning", "opened_at": NOW, "seen_at": NOW, "evidence": {},
    }  # fmt: skip
    looks = []

    def work(book):
        looks.append(len(book.open_alerts("over_plan")))
        if len(looks) == 1:
            book.add_alert(row)
            book.add_alert(row)  # what the other one's commit does to us
        return book.open_alerts("over_plan")

    assert AlertStore(engine).transact(work) == []
    assert looks == [0, 0]
