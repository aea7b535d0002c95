"""`jieshui import readings` on real stores: counted, restarted after a kill, computed."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from ingest.errors import IngestError
from jieshui.config import load_settings
from jieshui.errors import JieshuiError
from jieshui.main import app
from jieshui.wiring import build_analysis, open_stores
from storage.registry.models import DeviceRow, MeterRow, SupplierRow
from storage.registry.suppliers import load_supplier_days
from water.accounting import sum_messages, sum_readings
from water.viewer import Role, Viewer

METERS = 4
FIRST = datetime(2019, 3, 1, tzinfo=UTC)  # beyond oldest_days, within history_days


@pytest.fixture(autouse=True)
def logs_as_they_are(monkeypatch):
    """The command sets up logs for its process, which here is that of all tests."""
    monkeypatch.setattr("jieshui.logs.set_up_logs", lambda: None)


@pytest.fixture
def config(tmp_path):
    """An installation with supplier north, its meters M0 … M3, and a device of M0."""
    path = tmp_path / "jieshui.toml"
    text = '[store]\nfolder = "var"\n[journal]\nsegment_mb = 1\n'
    path.write_text(text, encoding="utf-8")
    with open_stores(load_settings(path)) as stores, Session(stores.engine) as session:
        session.add(SupplierRow(id="north", name="north"))
        session.flush()
        for number in range(METERS):
            meter = MeterRow(id=f"M{number}", supplier_id="north", role="customer", interval_s=900)
            session.add(meter)
        session.flush()
        session.add(
            DeviceRow(supplier_id="north", dialect="wmbusmeters", address="777", meter_id="M0")
        )
        session.commit()
    return path


def write_history(path, quarter_hours):
    """Every meter's register rises by 0.25 m³ a quarter-hour."""
    lines = ["meter,at,register_m3"]
    for meter in range(METERS):
        for step in range(quarter_hours):
            at = FIRST + timedelta(minutes=15 * step)
            lines.append(f"M{meter},{at:%Y-%m-%dT%H:%M:%SZ},{100 * meter + step / 4}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def run(config, *arguments):
    wanted = ["import", "readings", *map(str, arguments), "--config", str(config), "--json"]
    result = CliRunner().invoke(app, wanted, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def stored(config):
    """The readings of every meter, and the counts."""
    with open_stores(load_settings(config)) as stores:
        meters = [f"M{number}" for number in range(METERS)]
        start = FIRST - timedelta(days=1)
        frame = stores.readings.load_readings(meters, start, start + timedelta(days=400))
        return frame, stores.readings.tallies()


def test_every_line_is_stored_or_has_a_reason_and_history_may_be_old(config, tmp_path):
    path = tmp_path / "history.csv"
    write_history(path, 4)
    extra = "M0,2019-03-01T00:00:00Z,77\nM9,2019-03-01T00:00:00Z,1\nM0,yesterday,1\nM0,1\n"
    extra += "M1,1990-01-01T00:00:00Z,1\nM1,2019-03-01T00:00:00Z,100.0\n"
    path.write_text(path.read_text("utf-8") + extra, encoding="utf-8")
    said = run(config, path, "--supplier", "north")
    assert said == {
        "ended": True,
        "rows": 20,
        "earlier": 0,
        "stored": 16,
        "duplicate": 1,
        "conflict": 1,
        "quarantined": {"unknown_meter": 1, "too_old": 1},
        "loaded_untold": 0,
        "unfit": {"bad_time": 1, "fields": 1},
        "lines": {"bad_time": [20], "fields": [21]},
    }
    frame, tallies = stored(config)
    assert len(frame) == 16
    assert sum_messages(tallies)["north"].balanced
    readings = sum_readings(tallies)["north"]
    assert readings.balanced
    assert (readings.decoded, readings.quarantined) == (20, 2)


def test_a_file_imported_twice_is_not_read_into_the_journal_twice_unless_asked(config, tmp_path):
    path = tmp_path / "history.csv"
    write_history(path, 300)
    first = run(config, path, "--supplier", "north")
    assert (first["stored"], first["earlier"]) == (1200, 0)
    second = run(config, path, "--supplier", "north")
    assert (second["rows"], second["earlier"], second["duplicate"]) == (1200, 1200, 0)
    again = run(config, path, "--supplier", "north", "--again")
    assert (again["earlier"], again["stored"], again["duplicate"]) == (0, 0, 1200)


def test_rows_may_name_the_addresses_of_devices_and_local_instants(config, tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("address,at,register_m3\n777,2019-03-01 08:00,12.5\n", encoding="utf-8")
    said = run(config, path, "--supplier", "north", "--dialect", "wmbusmeters", "--timezone",
               "Asia/Shanghai")  # fmt: skip
    assert said["stored"] == 1
    frame, _ = stored(config)
    assert frame[["meter_id", "at", "register_m3"]].to_numpy().tolist() == [
        ["M0", pd.Timestamp(FIRST), 12.5]
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "there are: north"),
        (["--supplier", "south"], "there are: north"),
        (["--supplier", "north", "--dialect", "chirpstack"], "only of: jieshui, wmbusmeters"),
        (["--supplier", "north", "--timezone", "Asia/Yiwu"], "Asia/Yiwu"),
        (["--supplier", "north"], "register_l"),
    ],
)
def test_what_would_only_fill_the_quarantine_is_said_at_once(config, tmp_path, options, said):
    path = tmp_path / "history.csv"
    path.write_text("meter,at,register_l\nM0,2019-03-01T00:00:00Z,1\n", encoding="utf-8")
    command = ["import", "readings", str(path), *options, "--config", str(config)]
    error = CliRunner().invoke(app, command).exception
    assert said in str(error)
    assert isinstance(error, JieshuiError | IngestError)


def test_quarantined_rows_are_run_again_without_a_file(config, tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("meter,at,register_m3\nM9,2019-03-01T00:00:00Z,1\n", encoding="utf-8")
    assert run(config, path, "--supplier", "north")["quarantined"] == {"unknown_meter": 1}
    with open_stores(load_settings(config)) as stores:
        with Session(stores.engine) as session:
            session.add(MeterRow(id="M9", supplier_id="north", role="customer"))
            session.commit()
        kind = "rerun_quarantine/ingest-import"
        job = stores.jobs.ask(kind, {}, "tests")
    run(config)
    with open_stores(load_settings(config)) as stores:
        assert stores.jobs.job(job)["outcome"]["passed"] == 1
        assert len(stores.readings.newest(["M9"])) == 1


def test_an_import_that_is_killed_goes_on_and_nothing_is_lost_or_counted_twice(config, tmp_path):
    path = tmp_path / "history.csv"
    quarter_hours = 10_000
    write_history(path, quarter_hours)
    command = [sys.executable, "-m", "jieshui", "import", "readings", str(path)]
    command += ["--supplier", "north", "--config", str(config), "--json"]
    with (tmp_path / "log").open("wb") as log:
        victim = subprocess.Popen(command, stdout=log, stderr=log)
        journal = config.parent / "var" / "journal-import"
        deadline = time.monotonic() + 60
        while sum(segment.stat().st_size for segment in journal.glob("*.journal")) < 200_000:
            assert victim.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
    rows = METERS * quarter_hours
    assert not list(journal.glob("*.zst"))
    said = run(config, path, "--supplier", "north")
    assert said["rows"] == rows
    assert said["earlier"] > 0
    assert list(journal.glob("*.zst"))
    frame, tallies = stored(config)
    assert len(frame) == rows
    readings, messages = sum_readings(tallies)["north"], sum_messages(tallies)["north"]
    assert (readings.stored, readings.duplicate, readings.conflict) == (rows, 0, 0)
    assert messages.balanced
    assert messages.received == rows // 500
    registers = frame.groupby("meter_id")["register_m3"].agg(["min", "max"]).to_numpy().tolist()
    last = (quarter_hours - 1) / 4
    assert registers == [[100.0 * m, 100.0 * m + last] for m in range(METERS)]


def test_days_of_history_get_their_volumes(config, tmp_path):
    path = tmp_path / "history.csv"
    write_history(path, 4 * 24 * 3)
    run(config, path, "--supplier", "north")
    settings = load_settings(config)
    with open_stores(settings) as stores:
        service = build_analysis(settings, stores, CollectorRegistry())
        assert service._turn.take()
        try:
            while not service.run_once().idle:
                pass
        finally:
            service._turn.release()
        day = date(2019, 3, 2)
        daily = stores.volumes.load_daily(["M0"], day, day)
        with stores.engine.connect() as connection:
            found = load_supplier_days(connection, Viewer("a", Role.BUREAU), "north", day, day)
    assert daily["volume_m3"].tolist() == [24.0]  # 96 quarter-hours of 0.25 m³
    assert found is not None
    assert (found["arrived"]["received"], found["least_delays"]) == (4 * 96, [])
