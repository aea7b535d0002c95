"""What a dead load left behind is seen by people and by monitoring."""

import json

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from jieshui.main import app
from jieshui.unsettled import UnsettledCollector
from storage.registry import ledger_unsettled
from storage.registry.engine import migrate, open_registry


@pytest.fixture
def engine(tmp_path):
    opened = open_registry(f"sqlite:///{tmp_path / 'registry.db'}")
    migrate(opened)
    yield opened
    opened.dispose()


def shown(engine):
    metrics = CollectorRegistry()
    metrics.register(UnsettledCollector(engine))
    return metrics.get_sample_value("jieshui_unsettled_readings")


def leave(engine, *parts):
    with engine.begin() as connection:
        ledger_unsettled.add(connection, parts)


def test_the_gauge_counts_readings_of_every_dead_load(engine):
    assert shown(engine) == 0
    leave(engine, ("m1", 1_767_225_600, 1), ("m1", 1_767_229_200, 1))
    leave(engine, ("m2", 1_767_225_600, 3))
    assert shown(engine) == 3


def test_the_gauge_is_left_out_while_the_database_is_away(tmp_path):
    assert shown(open_registry(f"sqlite:///{tmp_path / 'registry.db'}")) is None


def test_status_says_what_is_not_settled(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("JIESHUI_STORE__FOLDER", str(tmp_path))
    monkeypatch.setenv("JIESHUI_STORE__REGISTRY_URL", f"sqlite:///{tmp_path / 'registry.db'}")

    def run(*words):
        return CliRunner().invoke(app, ["status", *words], catch_exceptions=False).output

    assert "Not settled" not in run()
    leave(engine, ("m1", 1_767_225_600, 1), ("m1", 1_767_229_200, 1))
    assert "2 readings of 1 load(s)" in run()
    assert "2026-01-01 08:00:00 +0800" in run()
    told = json.loads(run("--json"))["unsettled"]
    assert told == {"loads": 1, "readings": 2, "oldest": 1_767_225_600}
