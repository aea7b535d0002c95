"""Opening and migrating the registry database; what its transactions promise."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError

from storage.registry.engine import for_reading, migrate, migrate_down, open_registry
from storage.registry.models import Base


def test_the_migrations_make_what_the_models_say(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_second_migration_changes_nothing(engine):
    migrate(engine)
    assert "meter" in inspect(engine).get_table_names()


def test_migrating_down_leaves_no_table(engine):
    migrate_down(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrate(engine)
    assert set(Base.metadata.tables) <= set(inspect(engine).get_table_names())


def test_positions_and_arrivals_go_up_and_down_over_the_markers(empty):
    migrate(empty, "0002")
    meter = "meter (id, supplier_id, role, serial, interval_s)"
    with empty.begin() as connection:
        for row in (
            "ledger_position VALUES ('ingest', 1, 2, 3)",
            "supplier VALUES ('s', 'S')",
            f"{meter} VALUES ('m', 's', 'customer', '', 3600)",
            "arrival VALUES ('m', '2026-09-14', 96, 95, 94)",
        ):
            connection.exec_driver_sql(f"INSERT INTO {row}")
    asked = {
        "SELECT segment, entry FROM ledger_position": (1, 3),
        "SELECT received, valid FROM arrival": (95, 94),
    }
    for go, revision in ((migrate, "0003"), (migrate_down, "0002"), (migrate, "head")):
        go(empty, revision)
        with empty.connect() as connection:
            for query, wanted in asked.items():
                assert connection.exec_driver_sql(query).all() == [wanted]
    with empty.connect() as connection:
        markers = "SELECT marker, least_delay_s FROM ledger_position, arrival"
        assert connection.exec_driver_sql(markers).all() == [("", None)]


def test_processes_that_start_at_once_migrate_once(empty):
    def start(_: int) -> None:
        own = open_registry(empty.url)
        migrate(own)
        own.dispose()

    with ThreadPoolExecutor(4) as several:
        list(several.map(start, range(4)))
    assert "meter" in inspect(empty).get_table_names()


def test_a_failed_transaction_leaves_no_half_table(empty):
    def fail() -> None:
        with empty.begin() as connection:
            connection.execute(text("CREATE TABLE half (id INTEGER)"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert inspect(empty).get_table_names() == []


def test_foreign_keys_are_held(engine):
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("INSERT INTO plan VALUES ('nobody', 2026, 1, '[]', '', NULL, '')"))


def test_one_open_alert_a_rule_subject_and_period_is_held_by_the_database(engine):
    alert = (
        "INSERT INTO alert (rule, subject_kind, subject_id, period, state, severity, level,"
        " opened_at, seen_at, evidence) VALUES ('r', 'user', 'u', '2026', '{}', 'red', '',"
        " '2026-01-01', '2026-01-01', '{{}}')"
    )
    with engine.begin() as connection:
        connection.exec_driver_sql(alert.format("resolved"))
        connection.exec_driver_sql(alert.format("resolved"))
        connection.exec_driver_sql(alert.format("firing"))
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.exec_driver_sql(alert.format("pending"))


def test_read_decide_write_never_loses_an_update_or_fails_as_locked(engine):
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO run_state VALUES ('n', '0')"))
    read = text("SELECT value FROM run_state WHERE name = 'n'" + _for_update(engine))

    def add_ten(_: int) -> None:
        for _ in range(10):
            with engine.begin() as connection:
                value = int(connection.execute(read).scalar_one())
                connection.execute(text(f"UPDATE run_state SET value = '{value + 1}'"))

    with ThreadPoolExecutor(4) as several:
        list(several.map(add_ten, range(4)))
    with engine.connect() as connection:
        assert int(connection.execute(read).scalar_one()) == 40


def _for_update(engine: Engine) -> str:
    return " FOR UPDATE" if engine.dialect.name == "postgresql" else ""


def test_a_reader_does_not_wait_for_a_writer(engine):
    with engine.begin() as writer:
        writer.execute(text("INSERT INTO supplier VALUES ('s', 'S')"))
        started = time.monotonic()
        with for_reading(engine).connect() as reader:
            assert reader.execute(text("SELECT count(*) FROM supplier")).scalar_one() == 0
        assert time.monotonic() - started < 5
