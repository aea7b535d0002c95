"""Taking a backup: registry, ledger, readings, volumes, journals and secrets of this machine."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine

from jieshui.backup.formats import write_frames, write_rows
from jieshui.backup.manifest import FORMAT, Kept, Manifest, describe, write_manifest
from jieshui.backup.months import file_name, months_between
from jieshui.config import Settings
from jieshui.errors import JieshuiError
from jieshui.wiring import Stores
from storage.registry.dump import TABLES, dump_table
from storage.registry.engine import current_revision
from water import columns
from water.city_time import CityTime, next_month

METERS_AT_ONCE = 500
"""A month of hourly readings of so many meters is 360,000 rows in memory."""

Tell = Callable[[str], object]
"""Is told what is being done."""


def take_backup(
    settings: Settings, stores: Stores, folder: Path, tell: Tell, config: Path | None = None
) -> Manifest:
    """Write a backup to a folder that is not there yet.

    No process loads meanwhile: readings, counts and registry fit each other. Ingest goes on
    journaling and acknowledging, and loads what came afterwards.

    Args:
        settings: of the installation.
        stores: its stores.
        folder: written aside and renamed when it is whole.
        tell: is told what is being done.
        config: the configuration file, which is kept to be looked at.

    Raises:
        JieshuiError: the folder is there already.
        StoreUnavailableError: (an OSError) a store is away; there is no backup then.
    """
    if folder.exists():
        raise JieshuiError(f"{folder} is there already; a backup gets a folder of its own")
    with _aside(folder) as aside:
        rows: dict[str, int | None] = {}
        with stores.readings.holding_loads():
            # Real time, also where the city's clock runs faster: it is for people.
            taken_at = datetime.now(UTC)
            tell("registry")
            rows |= _dump_registry(stores.engine, aside)
            rows |= _dump_ledger(stores, aside)
            rows |= _dump_months(stores, settings.city_time(), aside, tell)
        tell("journal")
        rows |= _copy_files(settings.store.folder, aside, config)
        tell("checksums")
        manifest = Manifest(
            FORMAT,
            version("jieshui"),
            current_revision(stores.engine),
            settings.city.timezone,
            taken_at,
            _describe(aside, rows),
        )
        write_manifest(aside, manifest)
    return manifest


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder that gets its name once the block has ended well, and goes away otherwise."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.unfinished-", dir=folder.parent))
    try:
        yield aside
        aside.rename(folder)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _dump_registry(engine: Engine, folder: Path) -> dict[str, int | None]:
    """Every table as of one moment."""
    (folder / "registry").mkdir()
    rows: dict[str, int | None] = {}
    repeatable = engine.dialect.name == "postgresql"
    reading = engine.execution_options(
        jieshui_reads=True, **({"isolation_level": "REPEATABLE READ"} if repeatable else {})
    )
    with reading.connect() as connection:
        for table in TABLES:
            name = f"registry/{table.name}.jsonl.gz"
            rows[name] = write_rows(folder / name, dump_table(connection, table))
    return rows


def _dump_ledger(stores: Stores, folder: Path) -> dict[str, int | None]:
    name = "ledger.jsonl.gz"
    return {name: write_rows(folder / name, stores.readings.dump_ledger())}


def _dump_months(stores: Stores, city: CityTime, folder: Path, tell: Tell) -> dict[str, int | None]:
    """Readings and volumes, a local month and some meters at a time."""
    meters = sorted(meter.id for meter in stores.registry.meters())
    parts = [meters[i : i + METERS_AT_ONCE] for i in range(0, len(meters), METERS_AT_ONCE)]
    for kind in ("readings", "hourly", "daily"):
        (folder / kind).mkdir()
    rows: dict[str, int | None] = {}
    for month in _months(stores, city):
        tell(f"{month:%Y-%m}")
        start, end = city.month_bounds(month)
        last = next_month(month) - timedelta(days=1)
        loaders: Mapping[str, Callable[[Sequence[str]], pd.DataFrame]] = {
            "readings": lambda ids, a=start, b=end: stores.readings.load_readings(ids, a, b),
            "hourly": lambda ids, a=start, b=end: stores.volumes.load_hourly(ids, a, b),
            "daily": lambda ids, a=month, b=last: stores.volumes.load_daily(ids, a, b),
        }
        for kind, load in loaders.items():
            name = file_name(kind, month)
            if count := write_frames(folder / name, map(load, parts)):
                rows[name] = count
    return rows


def _months(stores: Stores, city: CityTime) -> Iterator[date]:
    """The months that may hold readings or volumes: a volume lies between two readings' days."""
    first, newest = stores.readings.first_instant(), stores.readings.newest()
    if first is None:
        return
    last = newest[columns.AT].max().to_pydatetime()
    yield from months_between(city, first - timedelta(days=1), last + timedelta(days=1))


def _copy_files(store: Path, folder: Path, config: Path | None) -> dict[str, int | None]:
    """The journals of this machine, the secret that signs sessions, the configuration.

    A segment that is still written to is copied as far as it goes; loading stops at its torn end.
    One that ended meanwhile (`journal.keep_days`) was loaded long ago, or is now compressed.
    """
    rows: dict[str, int | None] = {}
    for path in _list_files(store):
        name = f"files/{path.relative_to(store)}"
        target = folder / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(path, target)
            rows[name] = None
    if config is not None:
        shutil.copy2(config, folder / "jieshui.toml")
        rows["jieshui.toml"] = None
    return rows


def _list_files(store: Path) -> Iterator[Path]:
    """Compressed segments are looked for last: one that was plain before may be among them."""
    yield store / "session-secret"
    yield from store.glob("journal*/*.journal")
    yield from store.glob("journal*/*.journal.zst")
    yield from store.glob("journal*/*.undecoded")


def _describe(folder: Path, rows: Mapping[str, int | None]) -> dict[str, Kept]:
    described = {name: describe(folder / name, rows[name]) for name in sorted(rows)}
    for inner in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        _sync(inner)
    return described


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
