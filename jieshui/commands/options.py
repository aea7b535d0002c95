"""Options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from jieshui.config import Settings, load_settings

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Configuration file; else $JIESHUI_CONFIG, else jieshui.toml here if it exists.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def settings_from(config: Path | None) -> Settings:
    """The settings of the file that was named, or found where it is looked for."""
    return load_settings(config_path(config))


def config_path(config: Path | None) -> Path | None:
    """The configuration file that applies; None when there is none and the defaults hold."""
    if config is not None:
        return config
    if named := os.environ.get("JIESHUI_CONFIG"):
        return Path(named)
    here = Path("jieshui.toml")
    return here if here.exists() else None
