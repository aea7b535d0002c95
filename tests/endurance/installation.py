"""An installation that can be killed part by part: broker, ingest, api, servers of the stores.

Ingest and api are the processes of `jieshui serve`, with the settings of a configuration file; they
are forked from a process that has imported everything once, so that a start costs a tenth of a
second instead of four.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.resources import files
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol, Self

import httpx
import structlog
from sqlalchemy.orm import Session
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from jieshui.broker import HOST, Mosquitto, find_mosquitto, free_port
from jieshui.config import load_settings
from jieshui.demo.servers import InfluxDB, PostgreSQL, find_programs, until_it_answers
from jieshui.logs import set_up_logs
from jieshui.mosquitto.folder import OURS
from jieshui.mosquitto.passwords import make_password, set_password
from jieshui.processes import run_api, run_ingest
from jieshui.stopping import stop_on_signals
from jieshui.wiring import Stores, open_stores
from storage.errors import StoreUnavailableError
from storage.registry.models import MeterRow, SupplierRow

INGEST, API, BROKER, INFLUXD = "ingest", "api", "broker", "influxd"

FORKS = multiprocessing.get_context("forkserver")
"""Processes of ours are forked from one that has imported the installation's."""


class FailedError(Exception):
    """A reading is lost or double, or the installation does not go on by itself."""


class Part(Protocol):
    """A process of the installation."""

    @property
    def runs(self) -> bool: ...

    def start(self) -> None: ...

    def kill(self) -> None:
        """End it by SIGKILL."""
        ...


class Broker(Mosquitto):
    """The demonstration's Mosquitto: it writes its queues to disk every ten seconds."""

    login = ""
    """Lines of the configuration with which ingest logs in."""

    @property
    def runs(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class GuardedBroker(Broker):
    """With logins, and the rights that `jieshui broker init` gives them.

    Attributes:
        passwords: login → its password.
    """

    def __init__(self, program: str, folder: Path, port: int, logins: Sequence[str]) -> None:
        super().__init__(program, folder, port)
        self.passwords = {name: make_password() for name in (OURS, *logins)}
        self._secret = folder / "jieshui.password"
        self.login = f"username = '{OURS}'\npassword_file = '{self._secret}'\n"

    def _write_config(self) -> Path:
        for name, password in self.passwords.items():
            set_password(self._folder / "passwords", name, password)
        self._secret.write_text(self.passwords[OURS], encoding="ascii")
        rights = (files("jieshui.mosquitto") / "acl").read_text(encoding="utf-8")
        (self._folder / "acl").write_text(rights, encoding="utf-8")
        config = super()._write_config()
        lines = config.read_text(encoding="utf-8").replace("anonymous true", "anonymous false")
        lines += f"password_file {self._folder}/passwords\nacl_file {self._folder}/acl\n"
        config.write_text(lines, encoding="utf-8")
        return config


class Influxd(InfluxDB):
    """InfluxDB as a program of this machine."""

    @property
    def runs(self) -> bool:
        return self.pid is not None


class Service:
    """A process of `jieshui serve`; its log lies beside the configuration."""

    def __init__(self, name: str, configuration: Path) -> None:
        self.log = configuration.with_name(f"{name}.log")
        self._name = name
        self._configuration = configuration
        self._process: BaseProcess | None = None

    @property
    def runs(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it ended by itself."""
        return self._process is not None and not self._process.is_alive()

    def start(self) -> None:
        self._process = FORKS.Process(
            target=_serve, args=(self._name, self._configuration, self.log), daemon=True
        )
        self._process.start()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def stop(self) -> None:
        """End it by SIGTERM, at most half a minute."""
        if self._process is not None:
            self._process.terminate()
            self._process.join(30)
        self.kill()


def _serve(name: str, configuration: Path, log: Path) -> None:
    """Body of the process."""
    with log.open("ab") as out:
        os.dup2(out.fileno(), sys.stderr.fileno())
        os.dup2(out.fileno(), sys.stdout.fileno())
    set_up_logs()
    with stop_on_signals() as stop:
        {INGEST: run_ingest, API: run_api}[name](load_settings(configuration), stop)


class Installation:
    """Broker, stores and ingest in a folder; `stores` are opened beside the processes.

    Args:
        folder: of its own, empty but for what `broker` has there.
        meters: supplier → its meters.
        influxdb: whether readings go to InfluxDB and the ledger to PostgreSQL.
        broker: another broker than the demonstration's.
        api: whether the API runs as well.
        sections: further lines of the configuration.
    """

    def __init__(
        self,
        folder: Path,
        meters: Mapping[str, Sequence[str]],
        *,
        influxdb: bool = False,
        broker: Broker | None = None,
        api: bool = False,
        sections: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.meters = meters
        self._influxdb = influxdb
        self._sections = sections
        self.broker = broker or make_broker(folder / "broker")
        self.influxd: Influxd | None = None
        self.api_port = free_port()
        self._with_api = api
        self.api: Service | None = None
        self._health_port = free_port()
        self._stack = ExitStack()

    @property
    def journal(self) -> Path:
        return self.folder / "var" / "journal"

    @property
    def parts(self) -> dict[str, Part]:
        """The processes that can be killed."""
        parts: dict[str, Part | None] = {
            INGEST: self.ingest, API: self.api, BROKER: self.broker, INFLUXD: self.influxd,
        }  # fmt: skip
        return {name: part for name, part in parts.items() if part}

    def require_alive(self) -> None:
        """See that no process has ended by itself.

        Raises:
            FailedError: one has.
        """
        for service in (self.ingest, self.api):
            if service and service.ended:
                raise FailedError(f"a process has ended by itself; its log is {service.log}")

    def __enter__(self) -> Self:
        """Start everything, with every supplier and meter registered; ingest has subscribed."""
        FORKS.set_forkserver_preload(["jieshui.processes", "jieshui.demo.servers"])
        with ExitStack() as stack:
            stack.callback(structlog.configure, **structlog.get_config())
            # Log lines of the stores that this process opens would drown the figures.
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
            stack.callback(self.broker.stop)
            self.broker.start()
            configuration = self.folder / "jieshui.toml"
            configuration.write_text(self._start_stores(stack), encoding="utf-8")
            self.stores: Stores = stack.enter_context(open_stores(load_settings(configuration)))
            self._register()
            self.ingest = self._start(INGEST, configuration, stack)
            until_it_answers(self._require_ready)
            if self._with_api:
                self.api = self._start(API, configuration, stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, name: str, configuration: Path, stack: ExitStack) -> Service:
        service = Service(name, configuration)
        stack.callback(service.stop)
        service.start()
        return service

    def _start_stores(self, stack: ExitStack) -> str:
        """The configuration, once the servers that it names run."""
        lines = f"[mqtt]\nhost = '{HOST}'\nport = {self.broker.port}\n{self.broker.login}"
        lines += (
            f"[ingest]\nport = {self._health_port}\n{self._sections}\n"
            f"[api]\nport = {self.api_port}\n[store]\nfolder = 'var'\n"
        )
        if not self._influxdb:
            return lines
        influxd, programs = find_programs()
        self.influxd = Influxd(influxd, self.folder / "influxdb")
        postgresql = PostgreSQL(programs, self.folder / "postgresql")
        for server in (self.influxd, postgresql):
            stack.callback(server.stop)
            server.start()
        return lines + (
            f"registry_url = '{postgresql.url}'\n[influx]\nurl = '{self.influxd.url}'\n"
            f"organisation = '{self.influxd.organisation}'\nbucket = '{self.influxd.bucket}'\n"
            f"token_file = '{self.influxd.token_file}'\n"
        )

    def ask_health(self) -> dict[str, Any]:
        """What ingest says of itself."""
        return self._ask_ingest("healthz").json()

    def _require_ready(self) -> None:
        self._ask_ingest("readyz").raise_for_status()

    def _ask_ingest(self, page: str) -> httpx.Response:
        address = f"http://{HOST}:{self._health_port}/{page}"
        return httpx.get(address, timeout=30, trust_env=False)

    def _register(self) -> None:
        with Session(self.stores.engine) as session, session.begin():
            session.add_all(SupplierRow(id=name, name=name) for name in self.meters)
            session.flush()
            session.add_all(
                MeterRow(id=meter, supplier_id=supplier, role="customer")
                for supplier, meters in self.meters.items()
                for meter in meters
            )


def make_broker(folder: Path, logins: Sequence[str] = ()) -> Broker:
    """A broker for everybody, or one for some logins."""
    program = find_mosquitto()
    if program is None:
        sys.exit("mosquitto is not on this machine (make servers)")
    if logins:
        return GuardedBroker(program, folder.resolve(), free_port(), logins)
    return Broker(program, folder, free_port())


patiently = retry(
    stop=stop_after_delay(60), wait=wait_fixed(0.2),
    retry=retry_if_exception_type((StoreUnavailableError, OSError)), reraise=True,
)  # fmt: skip
"""Ask a store again while its server is coming back."""
