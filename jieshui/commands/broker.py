"""`jieshui broker`: Mosquitto's certificates, logins and rights."""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from jieshui.commands.options import ConfigOption, config_path, settings_from

if TYPE_CHECKING:
    from jieshui.mosquitto import BrokerFolder

app = typer.Typer(help="Mosquitto's certificates, and the logins of suppliers.")

FolderArgument = Annotated[Path, typer.Argument(help="The broker's folder.")]
SupplierArgument = Annotated[str, typer.Argument(help="The supplier's id in the registry.")]
PortOption = Annotated[int, typer.Option(min=1, max=65535, help="Port of the TLS listener.")]
FolderOption = Annotated[Path, typer.Option("--folder", help="The broker's folder.")]

_FOLDER = Path("broker")
_TLS_PORT = 8883


@app.command()
def init(
    folder: FolderArgument = _FOLDER,
    host: Annotated[
        list[str] | None,
        typer.Option(help="Name or address of the broker; again for another. Once."),
    ] = None,
    port: PortOption = _TLS_PORT,
    seen_as: Annotated[
        Path | None, typer.Option(help="Where the broker sees the folder; else where it is.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Where the broker keeps its queues; else FOLDER/data.")
    ] = None,
    client_certificates: Annotated[
        bool,
        typer.Option(
            "--client-certificates", help="A client needs a certificate beside its password."
        ),
    ] = False,
) -> None:
    """Make a CA, the broker's certificate, its configuration and the login of ingest.

    What is there already stays as it is: safe to call again.
    """
    from jieshui.mosquitto import BrokerFolder

    broker = BrokerFolder(folder)
    with broker.alone():
        broker.make(
            host or [],
            port=port,
            seen_as=seen_as,
            data=data,
            client_certificates=client_certificates,
        )
    _tell(
        f"{folder} is ready: mosquitto -c {broker.configuration}\n"
        "For [mqtt] in jieshui.toml (who knows the client id could take over the session):\n"
        f'  client_id = "jieshui-{secrets.token_hex(8)}"\n'
        f'  host = "{broker.hosts()[0]}"\n'
        f"  port = {port}\n"
        '  username = "jieshui"\n'
        f'  password_file = "{broker.password_file}"\n'
        f'  ca_file = "{broker.ca_file}"'
    )
    if seen_as is None:
        _tell_of_owner(folder)


@app.command()
def add_supplier(
    supplier: SupplierArgument,
    folder: FolderOption = _FOLDER,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write what the supplier gets; else its id.")
    ] = None,
    port: PortOption = _TLS_PORT,
    replace: Annotated[
        bool, typer.Option("--replace", help="New password and certificate; the old ones end.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Give a supplier a login, a password and a certificate, and write them for handing over."""
    from jieshui.mosquitto import BrokerFolder
    from jieshui.mosquitto.card import require_empty, write_hand_over

    broker = BrokerFolder(folder)
    out = out or Path(supplier)
    with broker.alone():
        require_empty(out)
        given = broker.add_supplier(supplier, replace=replace)
        write_hand_over(given, port, out)
    _tell(
        f"{supplier} may log in at {given.hosts[0]}:{port} with the password {given.password}\n"
        f"It is shown this once. Hand over the folder {out} on a safe way, then delete it."
    )
    _warn_unless_registered(supplier, config)
    _reload(broker, must=replace)


@app.command()
def revoke(supplier: SupplierArgument, folder: FolderOption = _FOLDER) -> None:
    """Take a supplier's login away and revoke its certificate; open connections end.

    Fails when Mosquitto couldn't be told: the supplier could still come in.
    """
    from jieshui.mosquitto import BrokerFolder

    broker = BrokerFolder(folder)
    with broker.alone():
        broker.revoke(supplier)
    _tell(f"{supplier} has no login any more.")
    _reload(broker, must=True)


@app.command()
def renew(folder: FolderOption = _FOLDER) -> None:
    """Make a new certificate for the broker itself, for the same names."""
    from jieshui.mosquitto import BrokerFolder

    broker = BrokerFolder(folder)
    with broker.alone():
        _tell(f"A new certificate for {', '.join(broker.renew_server())}.")
    _reload(broker, must=False)


@app.command("list")
def list_suppliers(folder: FolderOption = _FOLDER) -> None:
    """The suppliers that have a login, and when the certificate of each ends."""
    from jieshui.mosquitto import BrokerFolder

    for supplier, end in BrokerFolder(folder).suppliers().items():
        typer.echo(f"{supplier}\t{end:%Y-%m-%d}" if end else supplier)


@app.command()
def leave(
    journal: Annotated[str, typer.Argument(help="The folder of the place's journal: journal-2.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Take an ingest worker's place away for good, once the worker is stopped.

    Ends what its session is subscribed to, and loads what the broker has kept for it and what its
    journal holds. Else the broker goes on dealing messages to the session, and nobody sees them.
    """
    from prometheus_client import CollectorRegistry

    from ingest.broker.leaving import leave as leave_place
    from jieshui.ingest_wiring import build_leaving
    from jieshui.logs import set_up_logs
    from jieshui.stopping import stop_on_signals
    from jieshui.wiring import open_stores

    set_up_logs()
    with open_stores(settings := settings_from(config)) as stores, stop_on_signals() as stop:
        service = build_leaving(settings, stores, CollectorRegistry(), journal)
        left = leave_place(service, stop)
    if not left:
        _tell(f"Stopped before {journal} was left: run the command again.")
        raise typer.Exit(1)
    _tell(f"{journal} is left: its session is subscribed to nothing, all it had is loaded.")


def _tell(sentence: str) -> None:
    Console(soft_wrap=True, highlight=False).print(sentence, markup=False)


def _tell_of_owner(folder: Path) -> None:
    """What root made in a folder of its own Mosquitto can't use: it becomes a user of its own."""
    if os.geteuid() == 0 and folder.stat().st_uid == 0:
        _tell(
            f"{folder} belongs to root, but Mosquitto started by root becomes the user mosquitto: "
            f"before it starts, `chown -R mosquitto: {folder.absolute()}` (docs/broker.md; it must "
            "lie where that user may go, so not under /root)."
        )


def _reload(broker: "BrokerFolder", *, must: bool) -> None:
    """Have Mosquitto read its files again; `must` where somebody could come in until it does."""
    from jieshui.mosquitto import NotReloadedError, reload_broker

    try:
        reload_broker(broker.configuration)
    except NotReloadedError as error:
        if must:
            raise
        _tell(str(error))
        return
    _tell("Mosquitto reads its files again.")


def _warn_unless_registered(supplier: str, config: Path | None) -> None:
    """Ingest counts messages of a supplier that isn't registered, and sets them aside."""
    from sqlalchemy.exc import SQLAlchemyError

    from jieshui.wiring import registry_address
    from storage.registry.engine import open_registry
    from storage.registry.store import RegistryStore

    if config_path(config) is None:
        _tell(f"No configuration here: see that the registry has a supplier {supplier}.")
        return
    settings = settings_from(config)
    engine = open_registry(registry_address(settings))
    try:
        known = RegistryStore(engine, settings.make_clock()).suppliers()
    except (SQLAlchemyError, OSError) as error:
        _tell(f"Whether the registry has a supplier {supplier} can't be seen: {error}")
        return
    finally:
        engine.dispose()
    if supplier not in known:
        _tell(f"The registry has no supplier {supplier}: import it before it sends.")
