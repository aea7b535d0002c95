"""`jieshui backup`, `jieshui restore`, `jieshui upgrade` and `jieshui downgrade`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from jieshui.commands.options import ConfigOption, config_path, settings_from
from jieshui.errors import JieshuiError
from jieshui.logs import set_up_logs

if TYPE_CHECKING:
    from jieshui.backup.manifest import Manifest


def backup(
    folder: Annotated[Path, typer.Argument(help="Folder to write; must not be there yet.")],
    config: ConfigOption = None,
) -> None:
    """Keep everything in a folder: registry, readings, volumes, counts, journals, secrets.

    Ingest may run: it receives and acknowledges, and loads again afterwards.
    """
    from jieshui.backup import take_backup
    from jieshui.wiring import open_stores

    settings = settings_from(config)
    with open_stores(settings) as stores, _progress() as tell:
        manifest = take_backup(settings, stores, folder, tell, config_path(config))
    _report(f"{folder} holds", manifest)


def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `jieshui backup` wrote.")],
    config: ConfigOption = None,
) -> None:
    """Bring a backup back into stores that hold nothing yet, of the same kind or another."""
    from jieshui.backup import restore_backup
    from jieshui.wiring import influx_settings, open_stores
    from storage.influx import prepare

    set_up_logs("warning")
    settings = settings_from(config)
    if settings.influx is not None:
        prepare(influx_settings(settings.influx))
    with open_stores(settings) as stores, _progress() as tell:
        manifest = restore_backup(settings, stores, folder, tell)
    _report(f"Restored from {folder}:", manifest)


def upgrade(config: ConfigOption = None) -> None:
    """Bring the registry database to this version's revision; every command does so by itself."""
    from jieshui.wiring import registry_address
    from storage.registry.engine import current_revision, migrate, open_registry

    engine = open_registry(registry_address(settings_from(config)))
    try:
        migrate(engine)
        typer.echo(f"The registry database stands at revision {current_revision(engine)}.")
    finally:
        engine.dispose()


def downgrade(
    revision: Annotated[str, typer.Argument(help="Of the version to go back to, like 0001.")],
    config: ConfigOption = None,
    backed_up: Annotated[
        bool, typer.Option("--backed-up", help="There is a backup: what is lost may be lost.")
    ] = False,
) -> None:
    """Bring the registry database back to an older revision; what that can't hold is lost."""
    from jieshui.wiring import registry_address
    from storage.registry.engine import (
        current_revision,
        knows_revision,
        migrate_down,
        open_registry,
    )

    if not knows_revision(revision):
        raise JieshuiError(f"this version knows no revision {revision}")
    if not backed_up:
        raise JieshuiError(
            f"what revision {revision} can't hold is lost: stop every process, take a backup "
            "(jieshui backup FOLDER), then say --backed-up"
        )
    engine = open_registry(registry_address(settings_from(config)))
    try:
        migrate_down(engine, revision)
        typer.echo(
            f"The registry database stands at revision {current_revision(engine)}. Install the "
            "older version before anything is started: this one would go up again."
        )
    finally:
        engine.dispose()


@contextmanager
def _progress() -> Iterator[Callable[[str], object]]:
    """Show what is being done."""
    what, time = TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(SpinnerColumn(), what, time, transient=True) as bar:
        task = bar.add_task("…", total=None)
        yield lambda doing: bar.update(task, description=doing)


def _report(sentence: str, manifest: "Manifest") -> None:
    def count(kind: str) -> str:
        return f"{sum(kept.rows or 0 for name, kept in manifest.files.items() if kind in name):,}"

    size = sum(kept.bytes for kept in manifest.files.values()) / 1e6
    Console(soft_wrap=True, highlight=False).print(
        f"{sentence} {count('readings/')} readings, {count('hourly/')} hourly and "
        f"{count('daily/')} daily volumes, {count('registry/')} rows of the registry, as of "
        f"{manifest.taken_at.isoformat(timespec='seconds')} ({size:,.1f} MB).",
        markup=False,
    )
