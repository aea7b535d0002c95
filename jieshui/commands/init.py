"""`jieshui init`: a configuration, the stores and the first administrator."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from jieshui.config import load_settings
from jieshui.errors import JieshuiError


def init(
    config: Annotated[Path, typer.Argument(help="Configuration file to write.")] = Path(
        "jieshui.toml"
    ),
) -> None:
    """Write a configuration, create the stores and the first administrator.

    With a configuration that exists, only what is missing is made: safe to call again.
    """
    from jieshui.wiring import influx_settings, open_stores
    from storage.influx import prepare

    out = Console(soft_wrap=True)
    if config.exists():
        out.print(f"{config} exists and stays as it is.")
    else:
        write_example(config)
        out.print(f"Wrote {config}: look through it before the first start.")
    settings = load_settings(config)
    if settings.influx is not None:
        prepare(influx_settings(settings.influx))
        out.print(f"The bucket {settings.influx.bucket} of {settings.influx.url} is ready.")
    with open_stores(settings) as stores:
        password = stores.accounts.ensure_administrator()
    out.print(f"The stores in {settings.store.folder} are ready.")
    if password is None:
        out.print("An administrator exists.")
        return
    out.print(f"Administrator: login [bold]admin[/], one-time password [bold]{password}[/]")
    out.print("It is shown this once and must be changed at the first log-in.")


def write_example(path: Path) -> None:
    """Write the commented example configuration.

    Raises:
        JieshuiError: when the file can't be written.
    """
    text = files("jieshui").joinpath("example.toml").read_text(encoding="utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise JieshuiError(f"{path} can't be written: {error}") from None
