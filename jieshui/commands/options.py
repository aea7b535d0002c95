"""Options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from jieshui.config import PREFIX, Settings, load_settings
from jieshui.errors import JieshuiError

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Configuration file; else $JIESHUI_CONFIG, else jieshui.toml here.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def settings_from(config: Path | None) -> Settings:
    """The settings of the file that was named, or found where it is looked for.

    Raises:
        JieshuiError: nothing is configured, neither by a file nor by the environment.
    """
    path = config_path(config)
    if path is None and not any(name.startswith(f"{PREFIX}STORE") for name in os.environ):
        raise JieshuiError(
            "there is no jieshui.toml here; `jieshui init` writes one, --config names another"
        )
    return load_settings(path)


def config_path(config: Path | None) -> Path | None:
    """The configuration file that applies; None when there is none."""
    if config is not None:
        return config
    if named := os.environ.get("JIESHUI_CONFIG"):
        return Path(named)
    here = Path("jieshui.toml")
    return here if here.exists() else None
