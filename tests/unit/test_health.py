import socket

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from jieshui.config import Settings
from jieshui.health import HealthPort, ready_addresses
from jieshui.main import app


@pytest.fixture
def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def ingest(free_port, monkeypatch, tmp_path):
    """A health port that listens everywhere, as in a container, and says what `state` holds."""
    closed = {"ANALYSIS__PORT": "0", "WATCH__PORT": "0", "API__PORT": "1"}
    for name, value in (
        {"INGEST__PORT": str(free_port), "INGEST__HOST": "0.0.0.0"} | closed
    ).items():
        monkeypatch.setenv(f"JIESHUI_{name}", value)
    monkeypatch.setenv("JIESHUI_STORE__FOLDER", str(tmp_path))
    state = {"ready": True}
    port = HealthPort("0.0.0.0", free_port, lambda: state, CollectorRegistry())
    port.start()
    yield state
    port.stop()


def ask(*names: str) -> tuple[int, str]:
    outcome = CliRunner().invoke(app, ["health", *names])
    return outcome.exit_code, outcome.output


def test_one_process_that_works_is_enough_without_a_name(ingest):
    code, said = ask()
    assert code == 0
    assert "ingest: works" in said
    assert "api: does not run here" in said


def test_a_process_that_is_not_ready_fails_with_its_own_words(ingest):
    ingest.update(ready=False, broker="away", trouble="", warnings=[("水多", "flood"), ("a", "b")])
    code, said = ask()
    assert code == 1
    assert said.startswith(
        "ingest: does not work\n  ready: false\n  broker: away\n"
        '  warnings: ["水多", "flood"]\n  warnings: ["a", "b"]\n'
    )


def test_a_named_process_must_run(ingest):
    assert ask("ingest")[0] == 0
    assert ask("ingest", "api")[0] == 1


def test_nothing_that_runs_is_no_health(ingest, monkeypatch):
    monkeypatch.setenv("JIESHUI_INGEST__PORT", "2")
    assert ask()[0] == 1


def test_who_listens_everywhere_is_asked_on_the_loopback():
    settings = Settings(api={"host": "::", "port": 8080}, watch={"port": 0})
    addresses = ready_addresses(settings)
    assert addresses["api"] == "http://[::1]:8080/readyz"
    assert "watch" not in addresses
