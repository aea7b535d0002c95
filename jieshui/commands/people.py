"""`jieshui account` and `jieshui key`: people and programs."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from jieshui.commands.options import ConfigOption, settings_from
from jieshui.commands.shown import make_table, show_instant
from jieshui.errors import JieshuiError
from water.viewer import Role

if TYPE_CHECKING:
    from jieshui.wiring import Stores

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
    table = make_table("login", "name", "role", "scope", "disabled")
    for row in rows:
        table.add_row(
            row["login"],
            row["name"],
            row["role"],
            row["scope"] or "",
            "yes" if row["disabled"] else "no",
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
        _check_scope(stores, role, scope)
        try:
            password = stores.accounts.create_account(login, name, role, scope, ACTOR)
        except ValueError as error:
            raise JieshuiError(str(error)) from None
    Console().print(f"One-time password of {login}: [bold]{password}[/]")


@accounts.command("reset-password")
def reset_password(login: str, config: ConfigOption = None) -> None:
    """Replace a forgotten password by a one-time password, and end the sessions."""
    from jieshui.wiring import open_stores

    with open_stores(settings_from(config)) as stores:
        password = stores.accounts.reset_password(login, ACTOR)
    Console().print(f"One-time password of {login}: [bold]{password}[/]")


@accounts.command("disable")
def disable_account(login: str, config: ConfigOption = None) -> None:
    """Let nobody in with this login any more, and end its sessions."""
    from jieshui.wiring import open_stores

    with open_stores(settings_from(config)) as stores:
        stores.accounts.disable_account(login, ACTOR)
    Console().print(f"{login} is disabled.")


@accounts.command("enable")
def enable_account(login: str, config: ConfigOption = None) -> None:
    """Let a disabled account in again."""
    from jieshui.wiring import open_stores

    with open_stores(settings_from(config)) as stores:
        stores.accounts.enable_account(login, ACTOR)
    Console().print(f"{login} is enabled.")


def _check_scope(stores: "Stores", role: Role, scope: str | None) -> None:
    """Refuse a supplier or user that is not registered: its holder would see nothing.

    Raises:
        JieshuiError: naming the scope.
    """
    if role in {Role.SUPPLIER, Role.USER} and scope is None:
        what = "SUPPLIER" if role is Role.SUPPLIER else "户号"
        raise JieshuiError(f"--scope {what} is needed for the role {role}")
    if role is Role.SUPPLIER:
        known = scope in stores.registry.suppliers()
    elif role is Role.USER:
        known = scope in {user.id for user in stores.registry.users()}
    else:
        return
    if not known:
        raise JieshuiError(f"--scope: there is no {role} {scope!r} in the registry")


@keys.command("list")
def list_keys(config: ConfigOption = None) -> None:
    """List the keys; the keys themselves are not kept."""
    from jieshui.wiring import open_stores

    settings = settings_from(config)
    with open_stores(settings) as stores:
        rows = stores.accounts.keys()
    zone = settings.city_time().zone
    table = make_table("id", "name", "role", "scope", "created", "revoked")
    for row in rows:
        table.add_row(
            row["id"],
            row["name"],
            row["role"],
            row["scope"] or "",
            show_instant(row["created_at"], zone),
            show_instant(row["revoked_at"], zone) if row["revoked_at"] else "",
        )
    Console().print(table)


@keys.command("create")
def create_key(
    name: str, role: RoleArgument, scope: ScopeOption = None, config: ConfigOption = None
) -> None:
    """Create a key and print it, this once."""
    from jieshui.wiring import open_stores

    with open_stores(settings_from(config)) as stores:
        _check_scope(stores, role, scope)
        try:
            key_id, key = stores.accounts.create_key(name, role, scope, ACTOR)
        except ValueError as error:
            raise JieshuiError(str(error)) from None
    out = Console(soft_wrap=True, highlight=False)
    out.print(f"Key {key_id}, shown this once:")
    out.print(key)


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
