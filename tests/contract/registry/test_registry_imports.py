"""Imports into the registry database, on SQLite and PostgreSQL alike."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.accounts import Accounts
from registry.importing import import_path
from registry.recomputing import ask_recomputation, plan_recomputation
from registry.templates import write_template
from storage.registry.accounts import AccountStore
from storage.registry.jobs import JobStore
from storage.registry.models import AuditRow
from storage.registry.store import RegistryStore
from water.jobs import RECOMPUTE, RECOMPUTE_PAST

TODAY = date(2026, 9, 15)


class _Clock:
    def now(self) -> datetime:
        return datetime(2026, 9, 15, tzinfo=UTC)


@pytest.fixture
def store(engine) -> RegistryStore:
    return RegistryStore(engine, _Clock())


@pytest.fixture
def city(tmp_path):
    """A folder with one row of every kind: the examples of the templates."""
    folder = tmp_path / "city"
    write_template("all", folder)
    for file in folder.glob("*.csv"):
        file.write_text(file.read_text("utf-8-sig").replace("\n# ", "\n"), "utf-8")
    return folder


def test_every_kind_is_created_then_unchanged_then_changed(city, store):
    first = import_path(city, store, actor="amy", today=TODAY)
    again = import_path(city, store, actor="amy", today=TODAY)
    assert first.problems == again.problems == ()
    assert {(c.created, c.changed, c.unchanged) for c in first.counts.values()} == {(1, 0, 0)}
    assert {(c.created, c.changed, c.unchanged) for c in again.counts.values()} == {(0, 0, 1)}
    plans = city / "plans.csv"
    plans.write_text(plans.read_text("utf-8").replace(",1000", ",1100"), "utf-8")
    works = city / "works.csv"
    works.write_text(works.read_text("utf-8").replace("T01:00:00", "T02:00:00"), "utf-8")
    changed = import_path(city, store, actor="amy", today=TODAY)
    assert {kind for kind, c in changed.counts.items() if c.changed} == {"plans", "works"}
    assert [(plan.version, plan.year_m3) for plan in store.plans(2026)] == [(2, 13_200.0)]
    assert len(store.works()) == 1


def test_imports_at_once_make_each_plan_version_once(city, store, tmp_path):
    import_path(city, store, actor="amy", today=TODAY)

    def adjust(number: int) -> None:
        folder = tmp_path / f"adjusted{number}"
        folder.mkdir()
        content = (city / "plans.csv").read_text("utf-8").replace(",1000", f",{2000 + number}")
        (folder / "plans.csv").write_text(content, "utf-8")
        assert import_path(folder, store, actor=f"amy{number}", today=TODAY).imported

    with ThreadPoolExecutor(4) as several:
        list(several.map(adjust, range(4)))
    assert store.plans(2026)[0].version == 5


def test_an_administrator_is_made_once_by_processes_that_start_at_once(engine):
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts = Accounts(AccountStore(engine), _Clock(), hasher=quick)
    with ThreadPoolExecutor(3) as several:
        told = list(several.map(lambda _: accounts.ensure_administrator(), range(3)))
    (password,) = [password for password in told if password is not None]
    assert accounts.check_password("admin", password)


def test_a_changed_meter_asks_for_its_days_in_the_transaction_that_changes_it(city, store, engine):
    import_path(city, store, actor="amy", today=TODAY)
    jobs = JobStore(engine, _Clock())
    change = jobs.take(["recompute"])
    assert set(change.arguments) == {"meter_ids", "first"}
    assert jobs.take(["recompute"]) is None  # meters that are created have no readings yet
    meter = store.meters()[0]
    with store.transaction() as registry:
        row = next(iter(registry.rows("meters").values()))
        registry.put("meters", [row | {"serial": "another"}])
    assert jobs.take(["recompute"]) is None
    with pytest.raises(RuntimeError), store.transaction() as registry:  # noqa: PT012 (undone later)
        registry.put("meters", [row | {"modulus_m3": 7.0}])
        raise RuntimeError
    assert jobs.take(["recompute"]) is None
    with store.transaction() as registry:
        registry.put("meters", [row | {"modulus_m3": 7.0, "zone_id": None}])
    assert jobs.take(["recompute"]).arguments == {"meter_ids": [meter.id]}
    assert jobs.take(["recompute"]).arguments == {"zone_ids": [meter.zone_id]}


@pytest.mark.parametrize("named", [None, ["M0001"]], ids=["every meter", "one meter"])
def test_past_days_are_asked_for_with_an_entry_of_who_did(city, store, engine, named):
    import_path(city, store, actor="amy", today=TODAY)
    jobs = JobStore(engine, _Clock())
    jobs.take([RECOMPUTE])
    planned = plan_recomputation(store.meters(), named, date(2026, 8, 1), date(2026, 9, 10))
    assert jobs.count_waiting([RECOMPUTE_PAST]) == 0
    ask_recomputation(store, "li", planned, named)
    assert jobs.count_waiting([RECOMPUTE_PAST]) == 2
    assert jobs.take([RECOMPUTE]) is None
    (meter,) = store.meters()
    assert jobs.take([RECOMPUTE_PAST]).arguments == {
        "meter_ids": [meter.id], "first": "2026-08-01", "last": "2026-08-31",
    }  # fmt: skip
    with Session(engine) as session:
        entry = session.scalars(select(AuditRow).where(AuditRow.action == "recompute.asked")).one()
        assert (entry.actor, entry.subject) == ("li", "2026-08-01..2026-09-10")
        assert entry.detail == {"meters": 1, "jobs": 2} | ({"named": named} if named else {})
