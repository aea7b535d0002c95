"""A replay from asking to adoption: ingest as it runs, the API, the command line."""

import re
import threading
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from api.replays import ask_adoption, ask_replay, find_replay, list_replays
from ingest import service as service_module
from ingest.journal import Message, open_journal
from jieshui.commands import waiting
from jieshui.config import load_settings
from jieshui.errors import JieshuiError
from jieshui.ingest_wiring import build_ingest
from jieshui.main import app
from jieshui.wiring import open_stores
from storage.registry.models import MeterRow, SupplierRow
from water.accounting import sum_messages, sum_readings

NOW = int(time.time()) - 3600
V1 = "/api/v1"


@pytest.fixture
def city(tmp_path, monkeypatch):
    """A folder with a configuration, whose journal holds 50 messages of a supplier nobody knows."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jieshui.toml").write_text('[mqtt]\nhost = "127.0.0.1"\nport = 1\n')
    settings = load_settings(tmp_path / "jieshui.toml")
    with closing(open_journal(settings.store.folder / "journal", 2_000)) as journal:
        for n in range(50):
            payload = b'{"at":%d,"register_m3":%d}' % (NOW + n, n)
            topic = "water/v1/late/jieshui/m1/reading"
            journal.append([Message("?", topic, payload, (NOW + n) * 1000)])
    monkeypatch.setattr(service_module, "_POLL_S", 0.05)
    return settings


@contextmanager
def running(settings):
    """Ingest at work without a broker: it loads its journal and does its jobs."""
    with open_stores(settings) as stores:
        service, stop = build_ingest(settings, stores, CollectorRegistry()), threading.Event()
        thread = threading.Thread(target=service.run, args=(stop,))
        thread.start()
        try:
            yield stores
        finally:
            stop.set()
            thread.join(20)


def wait_until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def register(stores):
    with Session(stores.engine) as session:
        session.add(SupplierRow(id="late", name="迟到水务"))
        session.flush()
        session.add(MeterRow(id="m1", supplier_id="late", role="customer"))
        session.commit()


def command(*arguments, code=0):
    outcome = CliRunner().invoke(app, ["replay", *arguments], catch_exceptions=False)
    assert outcome.exit_code == code, outcome.output
    return re.sub(r"\x1b\[[0-9;]*m", "", outcome.output)


def test_nobodys_messages_are_replayed_and_adopted_while_ingest_works(city):
    with running(city) as stores:
        wait_until(lambda: sum_messages(stores.readings.tallies()).get("?", None))
        assert sum_messages(stores.readings.tallies())["?"].undecodable == 50
    with open_stores(city) as stores:
        register(stores)
    start = datetime.fromtimestamp(NOW + 10, UTC).isoformat()
    with running(city) as stores:
        said = command("--from", start, "--undecodable")
        assert "undecodable/unknown_supplier → decoded" in said
        job = re.search(r"--adopt (\d+)", said)[1]
        assert sum_readings(stores.readings.tallies()) == {}
        said = command("--adopt", job)
        assert f"Adoption of replay {job}" in said
        tallies = stores.readings.tallies()
        messages, readings = sum_messages(tallies), sum_readings(tallies)
        assert (messages["?"].decoded, messages["?"].undecodable) == (40, 10)
        assert (readings["late"].decoded, readings["late"].stored) == (40, 40)
        assert all(one.balanced for one in (*messages.values(), *readings.values()))
        again = command("--from", start)
        assert "Nothing is changed yet" not in again


def test_a_replay_that_cannot_be_is_refused_in_a_sentence(city):
    with open_stores(city) as stores:
        job = ask_replay(
            stores.jobs,
            "x",
            *(datetime.fromtimestamp(n, UTC) for n in (1, 2)),
            "",
            undecodable=False,
        )
    for arguments, words in {
        ("--from", "yesterday"): "write it like",
        ("--from", "2026-09-15", "--to", "2026-09-14"): "ends before it begins",
        ("--from", "2026-09-15", "--supplier", "nope"): "no supplier 'nope'",
        ("--adopt", "99"): "no replay 99",
        ("--adopt", str(job)): f"replay {job} is waiting, not done",
        ("--show", "99"): "no replay 99",
        (): "say one of",
    }.items():
        with pytest.raises(JieshuiError, match=words):
            command(*arguments)


def test_a_replay_that_no_ingest_takes_says_so_and_is_given_up(city, monkeypatch):
    monkeypatch.setattr(waiting, "_SILENT_S", 0.0)
    asked = CliRunner().invoke(
        app, ["replay", "--from", "2026-09-15", "--wait", "0.1"], catch_exceptions=True
    )
    assert "Job 1 waits for jieshui serve ingest." in asked.stderr
    assert "gave up after 0.1 s: job 1 stays asked for, waiting for" in str(asked.exception)
    assert isinstance(asked.exception, JieshuiError)
    assert "job 1: waiting" in command("--show", "1", "--no-wait")


def test_ctrl_c_leaves_a_replay_asked_for_and_says_how_to_look_at_it(city, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    clock = SimpleNamespace(monotonic=time.monotonic, sleep=interrupt)
    monkeypatch.setattr(waiting, "time", clock)
    with pytest.raises(JieshuiError, match=r"no longer waiting.* --show 1"):
        command("--from", "2026-09-15")
    with open_stores(city) as stores:
        assert find_replay(stores.jobs, 1)["state"] == "waiting"


def test_who_has_yet_to_take_a_part_of_a_replay_is_named_by_process_and_journal():
    parts = {"ingest-http-a-1": "waiting", "ingest-2": "waiting", "ingest-3": "running"}
    assert waiting.list_missed({"state": "running", "parts": parts}) == (
        "jieshui serve api with journal ingest-http-a-1, jieshui serve ingest with journal ingest-2"
    )
    assert waiting.list_missed({"state": "running", "parts": {}}) == ""


class Jobs:
    """The queue, in a list."""

    def __init__(self):
        self.rows = []

    def ask(self, kind, arguments, asked_by):
        self.rows.append({
            "id": len(self.rows) + 1, "kind": kind, "arguments": dict(arguments), "outcome": None,
            "state": "waiting", "asked_by": asked_by, "asked_at": NOW, "ended_at": None,
        })  # fmt: skip
        return len(self.rows)

    def job(self, job_id):
        return self.rows[job_id - 1] if job_id <= len(self.rows) else None

    def jobs(self, kind, limit):
        return [row for row in reversed(self.rows) if row["kind"] == kind][:limit]

    def end(self, job_id, state="done", **outcome):
        self.rows[job_id - 1] |= {"state": state, "outcome": {"progress": 1.0, **outcome}}


def test_the_parts_of_several_workers_are_summed_up():
    jobs = Jobs()
    instants = [datetime.fromtimestamp(n, UTC) for n in (1, 2)]
    replay = ask_replay(jobs, "li", *instants, "north", undecodable=False)
    part = jobs.ask("replay/ingest-2", {}, "job 1")
    gone = {"supplier": "north", "now": "decoded", "messages": 2}
    found = {"readings": {"new": 3}, "gone": [gone], "sample": {"new": [{"meter_id": "m1"}]}}
    jobs.end(replay, handed_on={"ingest-2": part}, **found)
    shown = find_replay(jobs, replay)
    assert (shown["state"], shown["progress"], shown["parts"]) == (
        "waiting", 0.5, {"ingest-2": "waiting"},
    )  # fmt: skip
    jobs.end(part, **found)
    shown = find_replay(jobs, replay)
    assert (shown["state"], shown["progress"], shown["readings"]) == ("done", 1.0, {"new": 6})
    assert len(shown["sample"]["new"]) == 2
    assert shown["gone"] == [gone | {"messages": 4}]
    adoption = ask_adoption(jobs, "li", replay)
    assert [(row["id"], row["adopts"]) for row in list_replays(jobs)] == [
        (adoption, replay), (replay, None),
    ]  # fmt: skip
    jobs.end(part, "failed", error="no")
    assert (find_replay(jobs, replay)["state"], find_replay(jobs, replay)["errors"]) == (
        "failed", ["no"],
    )  # fmt: skip
    with pytest.raises(ValueError, match="adoption itself"):
        ask_adoption(jobs, "li", adoption)


def test_no_two_adoptions_have_the_same_mark():
    jobs = Jobs()
    instants = [datetime.fromtimestamp(n, UTC) for n in (1, 2)]
    replay = ask_replay(jobs, "li", *instants, "", undecodable=False)
    jobs.end(replay)
    marks = {jobs.job(ask_adoption(jobs, "li", replay))["arguments"]["mark"] for _ in range(2)}
    assert len(marks) == 2


def test_a_replay_is_adopted_once_every_worker_has_done_its_part():
    jobs = Jobs()
    instants = [datetime.fromtimestamp(n, UTC) for n in (1, 2)]
    replay = ask_replay(jobs, "li", *instants, "", undecodable=False)
    part = jobs.ask("replay/w3", {}, "job 1")
    jobs.end(replay, handed_on={"w2": 99, "w3": part})
    jobs.end(part)
    shown = find_replay(jobs, replay)
    assert (shown["state"], shown["parts"]) == ("waiting", {"w2": "waiting", "w3": "done"})
    with pytest.raises(ValueError, match="is waiting, not done"):
        ask_adoption(jobs, "li", replay)
    jobs.end(part, "failed", error="disk")
    with pytest.raises(ValueError, match="is failed, not done"):
        ask_adoption(jobs, "li", replay)


def test_replays_are_asked_for_and_adopted_by_http(open_api_city):
    client = open_api_city().client("utility")
    window = {"start": "2026-09-13T00:00:00+08:00", "end": "2026-09-14T00:00:00+08:00"}
    asked = client.post(f"{V1}/ingest/replays", json={**window, "supplier": "north"})
    assert asked.status_code == 202
    number = asked.json()["id"]
    shown = client.get(f"{V1}/ingest/replays/{number}").json()
    assert (shown["state"], shown["supplier"], shown["start"]) == (
        "waiting", "north", "2026-09-12T16:00:00Z",
    )  # fmt: skip
    assert client.post(f"{V1}/ingest/replays/{number}/adopt").status_code == 409
    backwards = {"start": window["end"], "end": window["start"]}
    assert client.post(f"{V1}/ingest/replays", json=backwards).status_code == 422
    listed = client.get(f"{V1}/ingest/replays").json()["items"]
    assert [row["id"] for row in listed] == [number]
