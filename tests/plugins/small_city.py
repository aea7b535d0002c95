"""A small city in stores of any kind, analysed, and everything that they keep of it."""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session

from jieshui.config import Settings, load_settings
from jieshui.wiring import Stores, build_analysis
from storage.registry.dump import TABLES, dump_table
from storage.registry.models import (
    AccountRow,
    AuditRow,
    MeterRow,
    PlanRow,
    SupplierRow,
    UserRow,
    ZoneRow,
)
from water.loading import Outcome, Position, Refused, Tally
from water.readings import Quality, Reading

FIRST, DAYS = date(2026, 1, 20), 20
NOW = "2026-02-09T00:05:00+08:00"
FLOWS = {"Z1": 13.0, "C1": 10.0, "C2": 1.0}
CONFIGURATION = """
[store]
folder = "var"
registry_url = "{registry_url}"

[clock]
anchor = {now}
shown = {now}
speed = 0
{more}
"""


def settings_of(folder: Path, *, registry_url: str = "", more: str = "") -> Settings:
    """The settings of an installation in a folder, whose clock stands still."""
    folder.mkdir(parents=True)
    path = folder / "jieshui.toml"
    words = {"registry_url": registry_url, "now": NOW, "more": more}
    path.write_text(CONFIGURATION.format(**words), encoding="utf-8")
    return load_settings(path)


def fill(settings: Settings, stores: Stores) -> None:
    """Register, load, refuse and contradict, analyse; leave a journal and work to do."""
    _register(stores)
    readings = _readings(settings)
    for part in (readings[: len(readings) // 2], readings[len(readings) // 2 :]):
        with stores.readings.load() as load:
            assert load.add_readings(part) is None
            load.add_tallies({Tally("S1", "readings", "decoded"): len(part)})
            load.add_tallies({Tally("S1", "readings", "stored"): len(part)})
    with stores.readings.load() as load:
        twice = [readings[7]._replace(register_m3=7.0)]
        assert load.add_readings(twice) == [Outcome.CONFLICT]
        load.add_refused(
            [Refused("S1", "future", "", "jieshui", "C1", 9_999_999_999, 5, 1, 20, 0)] * 3
        )
        load.release_refused([2])
        load.set_position("ingest", Position(1, 4096, 77))
    analyse(settings, stores)
    stores.readings.compact(date(2026, 2, 1))
    with stores.readings.load() as load:
        load.add_readings([Reading("C2", readings[-1].at + 1800, 1, flow_m3_h=1.0)])
    journal = settings.store.folder / "journal"
    journal.mkdir()
    (journal / "000000000001.journal").write_bytes(b"\x00segment\xff" * 100)


def _register(stores: Stores) -> None:
    now = stores.clock.now()
    groups = [
        [SupplierRow(id="S1", name="义乌水务"), ZoneRow(id="Z", name="城区")],
        [ZoneRow(id="A", name="北苑", parent_id="Z")],
        [UserRow(id="U1", name="甲厂", sector="textile", annual_volume_m3=3600.5)],
        [UserRow(id="U2", name="乙店", sector="market")],
        [
            MeterRow(id="Z1", supplier_id="S1", role="zone_inlet", zone_id="A"),
            MeterRow(id="C1", supplier_id="S1", role="customer", user_id="U1", zone_id="A"),
            MeterRow(
                id="C2", supplier_id="S1", role="customer", user_id="U2", zone_id="A",
                in_service_from=now - timedelta(days=900, microseconds=1),
            ),
            PlanRow(user_id="U1", year=2026, version=1, months_m3=[300.0] * 12),
            AuditRow(at=now, actor="tests", action="import", subject="U1", detail={"n": [1, None]}),
            AccountRow(
                login="bureau", name="王", role="bureau", password_hash="$argon2", created_at=now
            ),
        ],
    ]  # fmt: skip
    with Session(stores.engine) as session, session.begin():
        for group in groups:
            session.add_all(group)
            session.flush()


def _readings(settings: Settings) -> list[Reading]:
    """Hourly over two months, with every kind of field."""
    city = settings.city_time()
    start = int(city.day_start(FIRST).timestamp())
    readings = [
        Reading(m, at, at + 30, register_m3=1000 + flow * (at - start) / 3600)
        for at in range(start, start + DAYS * 86_400 + 1, 3600)
        for m, flow in FLOWS.items()
    ]
    readings[10] = readings[10]._replace(
        flow_m3_h=0.1 + 0.2, pressure_mpa=0.31, level_m=2.5, quality=int(Quality.LOW_BATTERY)
    )
    return readings


def analyse(settings: Settings, stores: Stores) -> int:
    """Work off what is waiting; how many meter-days that was."""
    service = build_analysis(settings, stores, CollectorRegistry())
    turn = service._turn
    assert turn.take()
    done = 0
    try:
        for _ in range(20):
            report = service.run_once()
            done += report.meter_days
            if report.idle:
                return done
    finally:
        turn.release()
    raise AssertionError("the analysis does not come to an end")


def everything(settings: Settings, stores: Stores) -> dict[str, object]:
    """Whatever stores of any kind keep of a city, as values that can be compared."""
    city = settings.city_time()
    start, end = city.day_start(date(2025, 12, 1)), city.day_start(date(2026, 4, 1))
    with stores.engine.connect() as connection:
        kept = {
            table.name: sorted((dict(row) for row in dump_table(connection, table)), key=str)
            for table in TABLES
        }
    ledger = list(stores.readings.dump_ledger())
    touched = [row for kind, row in ledger if kind == "touched"]
    return {
        **kept,
        "ledger": sorted((row for row in ledger if row[0] != "touched"), key=str),
        "touched": [
            (row["mark"], {day: set(meters) for day, meters in row["days"].items()})
            for row in touched
        ],
        "readings": _rows(stores.readings.load_readings(list(FLOWS), start, end)),
        "newest": _rows(stores.readings.newest()),
        "conflicts": _rows(stores.readings.conflicts(start, end)),
        "quarantine": stores.readings.page_refused().rows,
        "hourly": _rows(stores.volumes.load_hourly(None, start, end)),
        "daily": _rows(stores.volumes.load_daily(None, start.date(), end.date())),
        "journal": {
            path.name: path.read_bytes()
            for path in (settings.store.folder / "journal").glob("*.journal")
        },
    }


def _rows(frame: pd.DataFrame) -> list[tuple]:
    """Exact values; None where there is none."""
    rows = frame.astype(object).where(frame.notna(), None)
    return sorted(rows.itertuples(index=False, name=None), key=str)
