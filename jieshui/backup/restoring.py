"""Restoring a backup into stores of any kind that hold nothing yet."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from math import isnan
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine, func, select

from jieshui.backup.formats import read_frames, read_rows
from jieshui.backup.manifest import Manifest, read_manifest, verify
from jieshui.backup.months import month_of
from jieshui.config import Settings
from jieshui.errors import JieshuiError
from jieshui.wiring import UNFINISHED_RESTORE, Stores
from storage.contracts import LedgerRow
from storage.errors import StoreError
from storage.registry.dump import TABLES, reset_counter, restore_table
from storage.registry.engine import knows_revision
from water import columns
from water.readings import QUANTITIES, Reading

Tell = Callable[[str], object]
"""Is told what is being done."""


def restore_backup(settings: Settings, stores: Stores, folder: Path, tell: Tell) -> Manifest:
    """Bring back everything that a backup holds; ingest and analysis don't run meanwhile.

    Until it is whole, its folder carries a mark that keeps everybody from opening the stores.

    Args:
        settings: of the installation that is made.
        stores: its stores, migrated, with nothing in them.
        folder: the backup.
        tell: is told what is being done.

    Raises:
        JieshuiError: the backup is damaged, unfinished, newer or of another time zone, or there
            is something in the stores. Nothing was changed.
        StoreError: a store can't take what the backup holds; empty the stores before another try.
    """
    manifest = read_manifest(folder)
    _require_fit(settings, folder, manifest)
    _require_empty(settings, stores)
    tell("checksums")
    verify(folder, manifest)
    _require_settled(settings, folder)
    unfinished = settings.store.folder / UNFINISHED_RESTORE
    unfinished.write_text(f"{folder}\n", encoding="utf-8")
    _restore_readings(stores, folder, manifest, tell)
    _restore_volumes(stores, folder, manifest, tell)
    tell("registry")
    _restore_registry(stores.engine, folder, manifest)
    stores.readings.restore_ledger(_ledger_rows(folder))
    tell("journal")
    _copy_back(settings.store.folder, folder, manifest)
    _give_to_owner(settings.store.folder)
    os.sync()
    unfinished.unlink()
    return manifest


def _require_fit(settings: Settings, folder: Path, manifest: Manifest) -> None:
    if not knows_revision(manifest.revision):
        raise JieshuiError(
            f"{folder} was taken by version {manifest.version} with the registry's revision "
            f"{manifest.revision}, which this version doesn't know: install that version"
        )
    if manifest.timezone != settings.city.timezone:
        raise JieshuiError(
            f"{folder} holds the days of {manifest.timezone}, and city.timezone says "
            f"{settings.city.timezone}"
        )


def _require_settled(settings: Settings, folder: Path) -> None:
    """Refuse what only the store in InfluxDB can finish: a load that wrote and did not count."""
    if settings.influx is None and any(kind == "unsettled" for kind, _ in _ledger_rows(folder)):
        raise JieshuiError(
            f"a load had broken off when {folder} was taken, and the embedded store can't finish "
            "it: start ingest where it comes from, and take it anew"
        )


def _require_empty(settings: Settings, stores: Stores) -> None:
    """Refuse stores that hold something.

    Raises:
        JieshuiError: naming what is there.
    """
    with stores.engine.connect() as connection:
        for table in TABLES:
            if connection.execute(select(func.count()).select_from(table)).scalar_one():
                raise JieshuiError(
                    f"the registry's table {table.name} holds rows: a backup is restored into "
                    "stores that nobody has used (not even `jieshui init`)"
                )
    if stores.readings.first_instant() is not None or stores.readings.tallies():
        raise JieshuiError("there are readings already: a backup is restored into empty stores")
    journals = list(settings.store.folder.glob("journal*/*.journal*"))
    if journals:
        raise JieshuiError(f"there is a journal already: {journals[0].parent}")


def _restore_readings(stores: Stores, folder: Path, manifest: Manifest, tell: Tell) -> None:
    """Load readings as any others, month after month: first value, latest and edges come anew.

    Which days they touch is told by the ledger, which is restored afterwards.
    """
    for name in _names(manifest, "readings"):
        month = month_of(name)
        tell(f"readings {month:%Y-%m}")
        # Earlier months are whole: tidied now, they needn't be held together with the next.
        stores.readings.compact(month)
        for frame in read_frames(folder / name):
            with stores.readings.load() as load:
                load.add_readings(list(_readings(frame)))
                for reason in load.refusals().values():
                    raise StoreError(f"the store refuses readings of {month:%Y-%m}: {reason}")


def _readings(frame: pd.DataFrame) -> Iterator[Reading]:
    """A frame (columns READINGS) as readings."""
    at, received_at = (
        pd.DatetimeIndex(frame[name]).as_unit("s").asi8.tolist()
        for name in (columns.AT, columns.RECEIVED_AT)
    )
    quantities = [
        [None if isnan(value) else value for value in frame[name].tolist()] for name in QUANTITIES
    ]
    meters, quality = frame[columns.METER_ID].tolist(), frame[columns.QUALITY].tolist()
    for row in zip(meters, at, received_at, *quantities, quality, strict=True):
        yield Reading(*row)


def _restore_volumes(stores: Stores, folder: Path, manifest: Manifest, tell: Tell) -> None:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    no_hours = stores.volumes.load_hourly([], start, start)
    no_days = stores.volumes.load_daily([], start.date(), start.date())
    for name in _names(manifest, "hourly"):
        tell(f"hourly volumes {month_of(name):%Y-%m}")
        stores.volumes.compact(month_of(name))
        for frame in read_frames(folder / name):
            stores.volumes.save(frame, no_days)
    for name in _names(manifest, "daily"):
        tell(f"daily volumes {month_of(name):%Y-%m}")
        for frame in read_frames(folder / name):
            stores.volumes.save(no_hours, frame)


def _names(manifest: Manifest, kind: str) -> list[str]:
    return sorted(name for name in manifest.files if name.startswith(f"{kind}/"))


def _restore_registry(engine: Engine, folder: Path, manifest: Manifest) -> None:
    with engine.begin() as connection:
        for table in TABLES:
            name = f"registry/{table.name}.jsonl.gz"
            # A table that came with a later revision has no file.
            if name in manifest.files:
                restore_table(connection, table, read_rows(folder / name))
                reset_counter(connection, table)


def _ledger_rows(folder: Path) -> Iterator[LedgerRow]:
    yield from read_rows(folder / "ledger.jsonl.gz")


def _copy_back(store: Path, folder: Path, manifest: Manifest) -> None:
    for name in manifest.files:
        if name.startswith("files/"):
            target = store / name.removeprefix("files/")
            target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            shutil.copy2(folder / name, target)


def _give_to_owner(store: Path) -> None:
    """Started by root, what was restored is whose the folder is: the services' user."""
    if os.geteuid() == 0:
        owner = store.stat()
        for path in store.rglob("*"):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
