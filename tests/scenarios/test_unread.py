"""What a process left in its journal that no other has opened is seen by people and monitoring."""

import json
from contextlib import closing

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from ingest.journal import Message, open_journal
from jieshui.main import app
from jieshui.unread import UnreadCollector
from storage.errors import StoreUnavailableError
from water.loading import Position


def status(*words):
    return CliRunner().invoke(app, ["status", *words], catch_exceptions=False).output


def shown(folder, position):
    metrics = CollectorRegistry()
    metrics.register(UnreadCollector(folder, position))
    return metrics.get_sample_value("jieshui_unread_journals")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The folder of an installation."""
    monkeypatch.setenv("JIESHUI_STORE__FOLDER", str(tmp_path))
    return tmp_path


def test_status_names_the_journal_that_an_api_process_fewer_has_left(store):
    assert "no process has it open" not in status()
    with closing(open_journal(store / "journal-http-2", 1 << 20)) as journal:
        journal.append([Message("north", "t", b"1", 1)])
        assert json.loads(status("--json"))["unread"] == {}
    said = status()
    assert "Journal journal-http-2 holds messages that are not loaded" in said
    assert "start api with api.push = true" in said
    assert list(json.loads(status("--json"))["unread"]) == [str(store / "journal-http-2")]


def test_the_gauge_counts_such_journals_and_is_left_out_while_the_store_is_away(tmp_path):
    with closing(open_journal(tmp_path / "journal", 1 << 20)) as journal:
        journal.append([Message("north", "t", b"1", 1)])
        end = journal.committed()
    assert shown(tmp_path, lambda _: Position()) == 1
    assert shown(tmp_path, lambda _: end) == 0

    def away(_):
        raise StoreUnavailableError("it is away")

    assert shown(tmp_path, away) is None
