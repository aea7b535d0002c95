"""Backups go from any kind of store into any other: embedded, InfluxDB, SQLite, PostgreSQL."""

import pytest
from small_city import analyse, everything, fill, settings_of
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from jieshui.backup import restore_backup, take_backup
from jieshui.config import Settings
from jieshui.errors import JieshuiError
from jieshui.wiring import open_stores
from storage.errors import StoreUnavailableError
from storage.registry.models import AlertRow, AuditRow
from water.loading import Outcome, Refused
from water.readings import Reading

pytestmark = pytest.mark.servers

END_LOADERS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def silent(_):
    pass


@pytest.fixture
def make_settings(request, tmp_path):
    """Call with "embedded", "influxdb" (beside SQLite) or "servers" for an empty installation."""

    def make(kind: str, name: str) -> Settings:
        folder = tmp_path / name
        if kind == "embedded":
            return settings_of(folder)
        influxdb = request.getfixturevalue("influxdb")
        token = tmp_path / f"{name}.token"
        token.write_text(influxdb.token, encoding="ascii")
        more = (
            f'[influx]\nurl = "{influxdb.url}"\norganisation = "{influxdb.organisation}"\n'
            f'bucket = "{influxdb.make_bucket(name)}"\ntoken_file = "{token}"\n'
            "trust_network = true\n"  # (a server in Docker is not on the loopback address)
        )
        url = ""
        if kind == "servers":
            url = request.getfixturevalue("postgresql").make_database()
        return settings_of(folder, registry_url=url, more=more)

    return make


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("embedded", "servers"),
        ("servers", "servers"),
        ("servers", "embedded"),
        ("influxdb", "servers"),
    ],
)
def test_everything_comes_back_as_it_was(make_settings, tmp_path, source, target):
    first, second = make_settings(source, "first"), make_settings(target, "second")
    with open_stores(first) as stores:
        fill(first, stores)
        take_backup(first, stores, tmp_path / "backup", silent)
        kept = everything(first, stores)
    with open_stores(second) as stores:
        restore_backup(second, stores, tmp_path / "backup", silent)
        assert everything(second, stores) == kept
        live_on(second, stores)


def live_on(settings, stores):
    """Numbers go on after the restored ones, loads and analysis where they stood."""
    with Session(stores.engine) as session, session.begin():
        highest = session.scalar(select(func.max(AuditRow.id)))
        row = AuditRow(at=stores.clock.now(), actor="tests", action="look", subject="-", detail={})
        session.add(row)
        session.flush()
        assert row.id == highest + 1
        assert session.scalar(select(func.count()).select_from(AlertRow))
    before = stores.readings.page_refused().rows[0]["id"]
    known = stores.readings.newest(["C1"]).iloc[0]
    again = Reading("C1", int(known["at"].timestamp()), 1, register_m3=float(known["register_m3"]))
    later = again._replace(at=again.at + 3600)
    with stores.readings.load() as load:
        assert [int(outcome) for outcome in load.add_readings([again, later])] == [1, 0]
        load.add_refused([Refused("S1", "future", "", "jieshui", "C1", 1, 5, 1, 20, 0)])
    assert stores.readings.page_refused().rows[0]["id"] > before
    assert 0 < analyse(settings, stores) <= 4


def test_a_load_that_had_broken_off_is_counted_once_after_the_restore(make_settings, tmp_path):
    first = make_settings("influxdb", "first")
    lost = Reading("C1", 1_770_000_000, 1, register_m3=5.0)
    with open_stores(first) as stores:
        fill(first, stores)
        with pytest.raises(KeyboardInterrupt):
            break_off(stores, lost)
        take_backup(first, stores, tmp_path / "backup", silent)
    second, third = make_settings("servers", "second"), make_settings("embedded", "third")
    with open_stores(second) as stores:
        restore_backup(second, stores, tmp_path / "backup", silent)
        with stores.readings.load() as load:
            # None = every one was stored.
            assert set(load.add_readings([lost]) or [Outcome.STORED]) == {Outcome.STORED}
    with open_stores(third) as stores:
        with pytest.raises(JieshuiError, match="broken off"):
            restore_backup(third, stores, tmp_path / "backup", silent)
        assert stores.readings.first_instant() is None


def break_off(stores, reading):
    with stores.readings.load() as load:
        load.add_readings([reading])
        raise KeyboardInterrupt


def test_a_backup_whose_lock_is_lost_meanwhile_is_none(make_settings, tmp_path):
    settings = make_settings("servers", "first")
    with open_stores(settings) as stores:

        def end_the_session(doing):
            if doing == "registry":
                with stores.engine.begin() as connection:
                    connection.execute(END_LOADERS)

        with pytest.raises(StoreUnavailableError):
            take_backup(settings, stores, tmp_path / "backup", end_the_session)
    assert not list(tmp_path.glob("*backup*"))


def test_an_empty_installation_comes_back_empty(make_settings, tmp_path):
    first, second = make_settings("servers", "first"), make_settings("embedded", "second")
    with open_stores(first) as stores:
        take_backup(first, stores, tmp_path / "backup", silent)
    with open_stores(second) as stores:
        restore_backup(second, stores, tmp_path / "backup", silent)
        assert stores.readings.first_instant() is None
