"""Sessions to which the broker deals messages that nobody receives are told of."""

import json
from contextlib import closing

import pytest
from typer.testing import CliRunner

from ingest.broker import deserted as deserted_module
from ingest.broker.deserted import Deserted, list_deserted
from ingest.broker.stream import Stream
from ingest.broker.subscriptions import Subscriptions
from ingest.journal import open_journal
from ingest.settings import MqttSettings
from jieshui.main import app
from water.clock import SystemClock

SESSION = "jieshui-ingest-2@localhost:1883"


@pytest.fixture
def subscribed(tmp_path):
    """The journals of two places that were subscribed; the second one has a process."""
    for number in (1, 2):
        settings = MqttSettings(client_id=f"jieshui-ingest-{number}")
        path = tmp_path / f"journal-{number}" / "subscriptions.json"
        Subscriptions(path, settings).keep(["$share/g/water/v1/#"])
    with closing(open_journal(tmp_path / "journal-1", 1 << 20)):
        yield tmp_path


def test_the_session_of_a_place_that_no_process_has_is_deserted(subscribed):
    assert list_deserted(subscribed) == {"journal-2": [SESSION]}
    with closing(open_journal(subscribed / "journal-2", 1 << 20)):
        assert list_deserted(subscribed) == {}


def test_a_session_that_is_subscribed_to_nothing_is_not(subscribed):
    settings = MqttSettings(client_id="jieshui-ingest-2")
    Subscriptions(subscribed / "journal-2" / "subscriptions.json", settings).keep([])
    assert list_deserted(subscribed) == {}


def test_a_process_that_starts_anew_is_not_told_of(subscribed, monkeypatch):
    now = 1_000.0
    monkeypatch.setattr(deserted_module.time, "monotonic", lambda: now)
    deserted = Deserted(subscribed)
    assert deserted.list_settled() == {}
    now += 119
    with closing(open_journal(subscribed / "journal-2", 1 << 20)):
        assert deserted.list_settled() == {}
    now += 1
    assert deserted.list_settled() == {}
    now += 120
    assert deserted.list_settled() == {"journal-2": [SESSION]}


def test_ingest_warns_of_it_in_both_languages(subscribed, monkeypatch):
    monkeypatch.setattr(deserted_module, "_SETTLED_S", 0.0)
    stream = Stream(SystemClock())
    stream._deserted = Deserted(subscribed)
    ((chinese, english),) = stream.health()["warnings"]
    assert chinese.startswith("没有进程使用 journal-2，消息服务器分给其会话的消息无人接收")
    assert english.startswith("no process has journal-2, nobody receives what its session is dealt")


def test_status_names_it(subscribed, monkeypatch):
    monkeypatch.setenv("JIESHUI_STORE__FOLDER", str(subscribed))
    run = CliRunner().invoke
    assert f"nobody receives what the broker deals to its session: {SESSION}" in run(
        app, ["status"], catch_exceptions=False
    ).output  # fmt: skip
    facts = json.loads(run(app, ["status", "--json"], catch_exceptions=False).output)
    assert facts["deserted"] == {"journal-2": [SESSION]}
