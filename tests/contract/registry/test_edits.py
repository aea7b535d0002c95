"""Edits, conflicts decided and meter changes, over the real registry database."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta

import pytest

from registry.edits import Edits
from registry.meter_changes import MOST_APPLIED, MOST_OPEN, MeterChanges
from storage.registry.edit_queries import EditQueries
from storage.registry.edits import EditStore
from storage.registry.store import RegistryStore
from water.edits import Decision, EditKind, EditState, EventState, RefusedEditError
from water.meters import Meter, MeterChange, MeterEvent, MeterRole
from water.viewer import Role, Viewer

NOW = datetime(2026, 9, 15, 4, tzinfo=UTC)
AT = datetime(2026, 9, 10, 8, tzinfo=UTC)
METER = Meter(
    "m1", "s1", MeterRole.ZONE_INLET, modulus_m3=1000.0,
    in_service_from=datetime(2024, 5, 1, tzinfo=UTC),
)  # fmt: skip


class Clock:
    def now(self):
        return NOW


class Registry:
    """The registry with one meter, and the rules over it."""

    def __init__(self, engine):
        self.engine = engine
        self.store = RegistryStore(engine, Clock())
        rows = EditStore(engine, Clock())
        self.edits, self.changes = Edits(rows, Clock()), MeterChanges(rows, Clock())
        with self.store.transaction() as registry:
            registry.put("suppliers", [{"id": "s1", "name": "S"}])
            registry.put("meters", [asdict(METER)])

    def read(self, query):
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def jobs(self):
        return [row[0] for row in self.read("SELECT arguments FROM job ORDER BY id")]

    def propose(self, kind=EditKind.CORRECTION, register=5.0, author="li", **other):
        words = {"at": AT, "reason": "目测", "meter_id": "m1"} | other
        words.setdefault("sent", None if kind is EditKind.ESTIMATE else {"register_m3": 9.0})
        values = {} if register is None else {"register_m3": register}
        at, meter_id = words.pop("at"), words.pop("meter_id")
        return self.edits.propose(author, meter_id, at, kind, values, **words)

    def approve(self, actor, edit, sent=None):
        self.edits.approve(actor, edit, sent=sent)

    def decide(self, decision, actor="wang", offered=7.5):
        conflict = {
            "meter_id": "m1", "at": AT, "quantity": "register_m3", "kept": 1.5, "offered": offered
        }  # fmt: skip
        self.edits.decide(actor, conflict, decision, "两次上报不同")

    def standing(self):
        return {(e.register_m3, e.state, e.version) for e in self.store.edits()}


@pytest.fixture
def registry(engine):
    return Registry(engine)


def test_a_manual_reading_counts_at_once_and_asks_for_its_days(registry):
    registry.propose(EditKind.MANUAL, 12.5, at=AT + timedelta(microseconds=5))
    (edit,) = registry.store.edits()
    assert (edit.at, edit.register_m3, edit.state) == (AT, 12.5, EditState.APPROVED)
    assert registry.jobs() in (
        [{"meter_ids": ["m1"], "first": "2026-09-08", "last": "2026-09-12"}],
        ['{"meter_ids": ["m1"], "first": "2026-09-08", "last": "2026-09-12"}'],
    )


@pytest.mark.parametrize("kind", [EditKind.CORRECTION, EditKind.ESTIMATE, EditKind.VOID])
def test_other_edits_count_once_somebody_else_approved_them(registry, kind):
    edit = registry.propose(kind, None if kind is EditKind.VOID else 5.0)
    assert registry.store.edits() == []
    with pytest.raises(RefusedEditError, match="somebody else"):
        registry.approve("li", edit)
    assert registry.jobs() == []
    registry.approve("wang", edit)
    assert [e.kind for e in registry.store.edits()] == [kind]
    assert len(registry.jobs()) == 1
    with pytest.raises(RefusedEditError, match="it is approved"):
        registry.approve("zhao", edit)


def test_a_withdrawn_edit_is_kept_and_its_days_are_computed_again(registry):
    edit = registry.propose(EditKind.MANUAL)
    registry.edits.withdraw("li", edit, "抄错表")
    assert registry.standing() == {(5.0, EditState.WITHDRAWN, 1)}
    assert len(registry.jobs()) == 2
    with pytest.raises(RefusedEditError, match="withdrawn already"):
        registry.edits.withdraw("li", edit, "again")


def test_a_proposal_that_is_withdrawn_changes_no_figure(registry):
    registry.edits.withdraw("li", registry.propose(), "no")
    assert registry.store.edits() == []
    assert registry.jobs() == []


def test_every_step_is_in_the_audit_log_with_its_reason(registry):
    edit = registry.propose()
    registry.approve("wang", edit)
    registry.edits.withdraw("zhao", edit, "误判")
    log = registry.read("SELECT actor, action, subject, detail FROM audit ORDER BY id")
    assert [row[:3] for row in log] == [
        ("li", "edit.made", "m1 2026-09-10T08:00:00+00:00"),
        ("wang", "edit.approved", "m1 2026-09-10T08:00:00+00:00"),
        ("zhao", "edit.withdrawn", "m1 2026-09-10T08:00:00+00:00"),
    ]
    assert "\\u8bef\\u5224" in str(log[2][3]) or "误判" in str(log[2][3])


def test_an_edit_below_one_that_counts_is_not_approved(registry):
    first, second = registry.propose(), registry.propose(register=6.0)
    registry.approve("wang", second)
    with pytest.raises(RefusedEditError, match="version 2"):
        registry.approve("wang", first)
    registry.edits.withdraw("li", second, "no")
    registry.approve("wang", first)
    assert (5.0, EditState.APPROVED, 1) in registry.standing()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"reason": " "}, "reason"),
        ({"at": NOW + timedelta(seconds=1)}, "future"),
        ({"at": datetime(2024, 4, 30, tzinfo=UTC)}, "not in service"),
        ({"register": None}, "at least one quantity"),
        ({"register": -1.0}, "negative_register"),
        ({"register": 1000.0}, "beyond_dial"),
        ({"register": float("nan")}, "finite"),
        ({"kind": EditKind.VOID}, "sets no quantity"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_nobody_can_have_read_is_refused(registry, words, reason):
    with pytest.raises(RefusedEditError, match=reason):
        registry.propose(**words)
    assert registry.read("SELECT * FROM edit") == []


@pytest.mark.parametrize(
    ("kind", "sent", "reason"),
    [
        (EditKind.CORRECTION, None, "sent no reading"),
        (EditKind.VOID, None, "sent no reading"),
        (EditKind.VOID, {"register_m3": None, "flow_m3_h": 2.0}, "no register"),
        (EditKind.ESTIMATE, {"register_m3": 9.0}, "register_m3 was measured"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_to_what_the_meter_sent_is_refused(registry, kind, sent, reason):
    with pytest.raises(RefusedEditError, match=reason):
        registry.propose(kind, None if kind is EditKind.VOID else 5.0, sent=sent)


def test_what_is_void_may_be_estimated(registry):
    registry.propose(EditKind.VOID, None)
    assert registry.propose(EditKind.ESTIMATE, 5.0, sent={"register_m3": 9.0}) == 2


def test_an_estimate_over_a_measured_value_counts_only_after_its_void(registry):
    sent = {"register_m3": 9.0}
    void = registry.propose(EditKind.VOID, None)
    estimate = registry.propose(EditKind.ESTIMATE, 5.0, sent=sent)
    with pytest.raises(RefusedEditError, match="register_m3 was measured"):
        registry.approve("wang", estimate, sent)
    registry.approve("wang", void, sent)
    registry.approve("wang", estimate, sent)
    with pytest.raises(RefusedEditError, match="the estimate of version 2 rests on this void"):
        registry.edits.withdraw("li", void, "no")
    registry.edits.withdraw("li", estimate, "no")
    registry.edits.withdraw("li", void, "no")


def test_an_estimate_below_which_a_value_stands_is_not_approved(registry):
    estimate = registry.propose(EditKind.ESTIMATE, 5.0)
    with pytest.raises(RefusedEditError, match="was measured"):
        registry.approve("wang", estimate, {"register_m3": 9.0})  # it arrived late
    registry.approve("wang", estimate)
    second = registry.propose(EditKind.ESTIMATE, 6.0)
    with pytest.raises(RefusedEditError, match="an edit of this instant counts already"):
        registry.approve("wang", second)


def test_a_void_of_the_register_lets_no_other_quantity_be_estimated(registry):
    sent = {"register_m3": 9.0, "flow_m3_h": 2.0}
    registry.propose(EditKind.VOID, None, sent=sent)
    with pytest.raises(RefusedEditError, match="flow_m3_h was measured"):
        registry.edits.propose(
            "li", "m1", AT, EditKind.ESTIMATE, {"flow_m3_h": 3.0}, sent=sent, reason="x"
        )


def test_an_edit_of_a_meter_that_there_is_not_is_a_key_error(registry):
    with pytest.raises(KeyError):
        registry.propose(meter_id="m9")
    with pytest.raises(KeyError):
        registry.approve("wang", 99)


def test_taking_the_offered_value_makes_a_correction_that_counts(registry):
    registry.decide(Decision.TAKE)
    assert registry.standing() == {(7.5, EditState.APPROVED, 1)}
    evidence = registry.read("SELECT evidence, author, approver FROM edit")
    assert evidence == [("conflict: register_m3 7.5 was sent where 1.5 stands", "wang", "wang")]
    with pytest.raises(RefusedEditError, match="decided so already"):
        registry.decide(Decision.TAKE)


def test_keeping_after_all_withdraws_the_correction(registry):
    registry.decide(Decision.TAKE)
    registry.decide(Decision.KEEP, "zhao")
    assert registry.standing() == {(7.5, EditState.WITHDRAWN, 1)}
    rows = registry.read("SELECT decision, decided_by, edit_id FROM conflict_decision")
    assert rows == [("keep", "zhao", None)]
    with pytest.raises(RefusedEditError, match="decided so already"):
        registry.decide(Decision.KEEP)


def test_taking_a_third_value_withdraws_the_one_taken_before(registry):
    registry.decide(Decision.TAKE)
    registry.decide(Decision.TAKE, offered=8.5)
    assert registry.standing() == {(7.5, EditState.WITHDRAWN, 1), (8.5, EditState.APPROVED, 2)}
    assert registry.store.decided_conflicts() == {
        ("m1", AT, "register_m3", 7.5), ("m1", AT, "register_m3", 8.5)
    }  # fmt: skip
    registry.decide(Decision.TAKE)
    assert (7.5, EditState.APPROVED, 3) in registry.standing()
    assert (8.5, EditState.WITHDRAWN, 2) in registry.standing()


def test_a_conflict_whose_correction_was_withdrawn_is_open_again(registry):
    registry.decide(Decision.TAKE)
    ((edit,),) = registry.read("SELECT id FROM edit")
    registry.edits.withdraw("li", edit, "no")
    assert registry.store.decided_conflicts() == frozenset()
    registry.decide(Decision.TAKE)
    assert registry.store.decided_conflicts() == {("m1", AT, "register_m3", 7.5)}


def change(old=900.0, new=0.5, at=AT, reason="到期轮换"):
    return MeterChange("m1", at, old, new, reason)


def event(entry, old=900.0, new=0.5, at=AT, **other):
    seconds = int(at.timestamp())
    return MeterEvent(entry, "s1", seconds + 60, "m1", seconds, old, new, "sent")._replace(**other)


def events(registry):
    query = "SELECT state, refusal, count FROM meter_event ORDER BY id"
    return registry.read(query)


def test_a_change_is_entered_once_and_a_contradicting_one_refused(registry):
    assert registry.changes.enter("li", change())
    assert not registry.changes.enter("li", change())
    with pytest.raises(RefusedEditError, match=r"contradicts the change of 2026-09-10T08"):
        registry.changes.enter("li", change(old=901.0, at=AT + timedelta(hours=3)))
    assert registry.store.meter_changes() == [change()]
    assert len(registry.jobs()) == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"at": NOW + timedelta(seconds=1)}, "future"),
        ({"old": 1000.0}, "old_final_m3: beyond_dial"),
        ({"new": -0.1}, "new_initial_m3: negative_register"),
        ({"new": float("inf")}, "new_initial_m3: a finite number"),
        ({"reason": ""}, "reason"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_change_that_can_not_have_been_is_refused(registry, words, reason):
    with pytest.raises(RefusedEditError, match=reason):
        registry.changes.enter("li", change(**words))


def test_a_suppliers_event_becomes_a_change_with_the_supplier_as_author(registry):
    registry.changes.take("ingest", [event(4)])
    assert registry.store.meter_changes() == [change(reason="sent")]
    ((actor,),) = registry.read("SELECT actor FROM audit")
    assert actor == "supplier s1"
    assert events(registry) == [("applied", "", 1)]


def test_an_entry_of_the_journal_is_taken_once_and_a_repeated_event_counted(registry):
    for _ in range(2):
        registry.changes.take("ingest", [event(4), event(5)])
    assert events(registry) == [("applied", "", 2)]
    registry.changes.take("ingest-2", [event(4)])
    assert events(registry) == [("applied", "", 3)]
    assert len(registry.jobs()) == 1


def test_a_contradicting_event_waits_for_a_person(registry):
    registry.changes.enter("li", change())
    registry.changes.take("ingest", [event(1, old=950.0, at=AT + timedelta(hours=2))])
    assert registry.store.meter_changes() == [change()]
    registry.changes.decide("wang", 1, Decision.KEEP, "现场核对")
    assert events(registry) == [("kept", "", 1)]
    with pytest.raises(RefusedEditError, match="it is kept"):
        registry.changes.decide("wang", 1, Decision.TAKE, "x")


def test_taking_a_contradicting_event_removes_what_it_contradicts(registry):
    registry.changes.enter("li", change())
    later = AT + timedelta(hours=2)
    registry.changes.take("ingest", [event(1, old=950.0, at=later)])
    registry.changes.decide("wang", 1, Decision.TAKE, "现场核对")
    assert registry.store.meter_changes() == [change(950.0, at=later, reason="sent")]
    actions = {row[0] for row in registry.read("SELECT action FROM audit")}
    assert {"meter_changes.removed", "meter_event.decided"} <= actions


def test_refused_events_are_counted_by_reason_and_open_ones_are_bounded(registry):
    bad = event(1, meter_id=None, refusal="unknown_meter", detail="x9")
    registry.changes.take("ingest", [bad, bad._replace(entry=2, detail="x8")])
    registry.changes.enter("li", change())
    many = [event(3 + i, old=100.0 + i) for i in range(MOST_OPEN + 3)]
    registry.changes.take("ingest", many)
    found = events(registry)
    assert ("refused", "unknown_meter", 2) in found
    assert ("refused", "too_many_open", 3) in found
    assert sum(state == EventState.OPEN for state, *_ in found) == MOST_OPEN


def test_a_flood_of_changes_is_bounded_and_asks_for_one_computation_a_meter(registry):
    days = MOST_APPLIED + MOST_OPEN + 5
    flood = [event(1 + n, at=AT - timedelta(days=2 * n)) for n in range(days)]
    registry.changes.take("ingest", flood)
    assert len(registry.store.meter_changes()) == MOST_APPLIED
    assert Counter(state for state, *_ in events(registry)) == {
        "applied": MOST_APPLIED, "open": MOST_OPEN, "refused": 1
    }  # fmt: skip
    assert ("refused", "too_many_open", 5) in events(registry)
    assert len(registry.jobs()) == 1
    first = AT - timedelta(days=2 * (MOST_APPLIED - 1) + 2)
    assert first.date().isoformat() in str(registry.jobs()[0])


def test_what_contradicts_a_change_of_its_own_batch_waits_and_repeats_are_counted(registry):
    batch = [event(1), event(2), event(3, old=901.0, at=AT + timedelta(hours=2)), event(4)]
    registry.changes.take("ingest", batch)
    assert registry.store.meter_changes() == [change(reason="sent")]
    assert events(registry) == [("applied", "", 3), ("open", "", 1)]


def test_lists_hold_what_is_in_sight_and_decisions_that_hold(registry):
    asked = EditQueries(registry.engine)
    bureau, own = Viewer("b", Role.BUREAU), Viewer("s", Role.SUPPLIER, "s1")
    other, user = Viewer("o", Role.SUPPLIER, "s2"), Viewer("u", Role.USER, "u1")
    registry.propose(EditKind.MANUAL)
    registry.decide(Decision.TAKE)
    registry.changes.take("ingest", [event(1)])
    bill = {"meter_id": "m1", "first": date(2026, 8, 1), "last": date(2026, 8, 31)}
    with registry.store.transaction() as rows:
        rows.put("billing_reads", [bill | {"billed_m3": 31.0, "note": ""}])
    month = date(2026, 8, 31), date(2026, 9, 30)
    for viewer, seen in ((bureau, True), (own, True), (other, False), (user, False)):
        page = asked.edits(viewer, limit=1)
        rest = asked.edits(viewer, cursor=page.next, limit=1) if page.next else page
        assert [row["version"] for row in [*page.rows, *rest.rows]] == ([2, 1] if seen else [])
        assert len(asked.decisions(viewer, AT, NOW)) == seen
        assert len(asked.meter_events(viewer, state="applied").rows) == seen
        assert [row["billed_m3"] for row in asked.billing_reads(viewer, *month)] == [31.0] * seen
        assert (asked.edit(viewer, 1) is not None) == seen
    assert asked.decisions(bureau, NOW, NOW + timedelta(days=1)) == []
    assert asked.billing_reads(bureau, date(2026, 9, 1), date(2026, 9, 30)) == []
    registry.edits.withdraw("li", 2, "no")
    assert asked.decisions(bureau, AT, NOW) == []
