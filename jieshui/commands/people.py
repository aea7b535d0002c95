"""`jieshui account` and `jieshui key`: people and programs."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from jieshui.commands.options import ConfigOption, settings_from
from jieshui.errors import JieshuiError
from water.viewer import Role

accounts = typer.Typer(help="Accounts of people.", no_args_is_help=True)
keys = typer.Typer(help="API keys of programs.", no_args_is_help=True)

ACTOR = "command line"
RoleArgument = Annotated[Role, typer.Argument(help="What the holder may see and do.")]
ScopeOption = Annotated[
    str | None, typer.Option(help="Supplier id or 户号, for the roles supplier and user.")
]


@accounts.command("list")
def list_accounts(config: ConfigOption = None) -> None:
    """List the accounts."""
    from jieshui.wiring import open_stores

    with open_stores(settings_from(config)) as stores:
        rows = stores.accounts.accounts()
    table = Table("login", "name", "role", "scope", "disabled")
    for row in rows:
        table.add_row(
            row["login"], row["name"], row["role"], row["scope"] or "", str(row["disabled"])
        )
    Console().print(table)


@accounts.command("create")
def create_account(
    login: str, name: str, role: RoleArgument, scope: ScopeOption = None,
    config: ConfigOption = None,
) -> None:  # fmt: skip
    """Create an account and print its one-time password."""
    from jieshui.wiring import open_stores

    with open_stores(settings_from(config)) as stores:
        try:
            password = stores.accounts.create_account(login, name, role, scope, ACTOR)
        except ValueError as error:
            raise JieshuiError(str(error)) from None
    Console().print(f"One-time password of {login}: [bold]{password}[/]")


@keys.command("list")
def list_keys(config: ConfigOption = None) -> None:
    """List the keys; the keys themselves are not kept."""
    from jieshui.wiring import open_stores

    with open_stores(settings_from(config)) as stores:
        rows = stores.accounts.keys()
    table = Table("id", "name", "role", "scope", "created", "revoked")
    for row in rows:
        table.add_row(
            row["id"], row["name"], row["role"], row["scope"] or "",
            str(row["created_at"]), str(row["revoked_at"] or ""),
        )  # fmt: skip
    Console().print(table)


@keys.command("create")
def create_key(
    name: str, role: RoleArgument, scope: ScopeOption = None, config: ConfigOption = None
) -> None:
    """Create a key and print it, this once."""
    from jieshui.wiring import open_stores

    with open_stores(settings_from(config)) as stores:
        try:
            key_id, key = stores.accounts.create_key(name, role, scope, ACTOR)
        except ValueError as error:
            raise JieshuiError(str(error)) from None
    Console(soft_wrap=True).print(f"{key_id}: [bold]{key}[/]", highlight=False)


@keys.command("revoke")
def revoke_key(key_id: str, config: ConfigOption = None) -> None:
    """Revoke a key."""
    from jieshui.wiring import open_stores

    with open_stores(settings_from(config)) as stores:
        try:
            stores.accounts.revoke_key(key_id, ACTOR)
        except KeyError:
            raise JieshuiError(f"there is no key {key_id}; see `jieshui key list`") from None
    Console().print(f"{key_id} is revoked.")
