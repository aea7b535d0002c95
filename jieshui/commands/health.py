"""`jieshui health`: do the processes of this machine work?"""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from jieshui.commands.options import ConfigOption, settings_from
from jieshui.errors import JieshuiError

PATIENCE_S = 5


def health(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="ingest, analysis, api, watch; left out, all that run here.", show_default=False
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Ask the processes of this machine whether they work; exit code 1 when one doesn't.

    A process that is named must answer; without a name, one at least must run.
    """
    from jieshui.health import ready_addresses

    addresses = ready_addresses(settings_from(config))
    if unknown := set(names or ()) - set(addresses):
        raise JieshuiError(f"no process is called {min(unknown)}; there are {', '.join(addresses)}")
    answers = {name: _ask(addresses[name]) for name in names or addresses}
    for name, said in answers.items():
        typer.echo(f"{name}: {said or 'does not run here'}")
    wanted = [said for said in answers.values() if said or names]
    raise typer.Exit(0 if wanted and all(said == "works" for said in wanted) else 1)


def _ask(address: str) -> str | None:
    """What a process says of itself: "works", or what is wrong; None when nothing listens."""
    import httpx

    try:
        answer = httpx.get(address, timeout=PATIENCE_S, trust_env=False)
    except httpx.ConnectError:
        return None
    except httpx.HTTPError as error:
        return f"does not answer: {error}"
    if answer.is_success:
        return "works"
    return "\n  ".join(("does not work", *_in_lines(answer.text)))


def _in_lines(text: str) -> Iterator[str]:
    """What an answer of /readyz holds that says something: a line each, as people read it."""
    try:
        said: Any = json.loads(text)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        yield text.strip()
        return
    for name, value in said.items():
        for one in value if isinstance(value, list) else [value]:
            if one is False or one:
                shown = one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)
                yield f"{name}: {shown}"
