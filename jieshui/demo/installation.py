"""The demonstration's folder: configuration, registry, truth, and what a second start needs."""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from jieshui.broker import DemoBroker, free_port, is_free
from jieshui.config import Settings, load_settings
from jieshui.errors import JieshuiError
from jieshui.wiring import open_stores
from registry.importing import import_path
from simulators.city import City, build_city
from simulators.files import write_registry
from simulators.truth import write_truth
from water.viewer import Role

UNTIL = datetime.fromisoformat("2026-09-15T00:00:00+08:00")
"""The demonstration's present at its first start: the real inflows reach that far and beyond."""

ACTOR = "demo"

Tables: TypeAlias = dict[str, dict[str, Any]]
"""The tables of a TOML file."""


@dataclass(frozen=True, slots=True)
class CitySize:
    """Which virtual city: its seed, large users and days of history."""

    seed: int
    users: int
    days: int

    def build(self) -> City:
        """The city; the same size gives the same one."""
        return build_city(self.seed, until=UNTIL, users=self.users, days=self.days)


@dataclass(frozen=True, slots=True)
class DemoState:
    """What a second start goes on with."""

    seed: int
    users: int
    days: int
    shown: str
    password: str | None
    keys: dict[str, str]
    servers: bool = False

    @property
    def size(self) -> CitySize:
        """The city that it shows."""
        return CitySize(self.seed, self.users, self.days)

    @property
    def shown_at(self) -> datetime:
        """What the clock showed when the demonstration stopped."""
        return datetime.fromisoformat(self.shown)


class Installation:
    """One demonstration in one folder.

    `stores` are the tables of its configuration that say where things are kept: embedded stores
    unless somebody puts servers there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stores: Tables = {"store": {"folder": "store"}}
        self.config = folder / "jieshui.toml"
        self.truth = folder / "truth.json"
        self.suppliers_state = folder / "suppliers.json"
        self.logs = folder / "logs"
        self._state = folder / "demo.json"
        self._mark = folder / ".demonstration"

    @property
    def exists(self) -> bool:
        """Whether a demonstration was set up here."""
        return self._state.exists()

    def state(self) -> DemoState:
        """What was written down at the last start or stop."""
        return DemoState(**json.loads(self._state.read_text(encoding="utf-8")))

    def remember(self, shown: datetime) -> None:
        """Write down what the clock shows, so that the next start goes on from there."""
        self._write(replace(self.state(), shown=shown.isoformat()))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder: one demonstration runs in it at a time.

        Raises:
            JieshuiError: another one runs here.
        """
        lock = self.folder.with_name(f".{self.folder.name}.lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise JieshuiError(
                    f"a demonstration runs in {self.folder}; stop it, or take another --folder"
                ) from None
            yield

    def remove(self) -> None:
        """Remove everything of this demonstration."""
        if self.folder.exists() and any(self.folder.iterdir()) and not self._mark.exists():
            raise JieshuiError(f"{self.folder} holds something that is no demonstration")
        shutil.rmtree(self.folder, ignore_errors=True)

    def claim(self) -> None:
        """Mark the folder as ours, so that what an interrupted start leaves can be removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._mark.touch()

    def build(self) -> City:
        """The city that was set up here, the same again."""
        return self.state().size.build()

    def create(self, size: CitySize, *, servers: bool = False) -> City:
        """Build the city, import its registry as a utility would, make the log-ins."""
        city = size.build()
        write_registry(city, self.folder / "registry")
        write_truth(city, self.truth)
        settings = self._configured({})
        with open_stores(settings) as stores:
            today = settings.city_time().day_of(stores.clock.now())
            folder = self.folder / "registry"
            report = import_path(folder, stores.registry, actor=ACTOR, today=today)
            if report.errors:
                raise JieshuiError(f"the virtual city can't be imported: {report.errors[0]}")
            password = stores.accounts.ensure_administrator()
            supplier = min(stores.registry.suppliers())
            keys = {
                "bureau": stores.accounts.create_key("demo", Role.BUREAU, None, ACTOR)[1],
                "supplier": stores.accounts.create_key("demo", Role.SUPPLIER, supplier, ACTOR)[1],
            }
        shown = UNTIL.isoformat()
        self._write(
            DemoState(size.seed, size.users, size.days, shown, password, keys, servers=servers)
        )
        return city

    def configure(self, broker: DemoBroker, speed: float, port: int | None) -> Settings:
        """Write the configuration of this start: broker, ports and the clock."""
        if port is None and is_free(8080):
            port = 8080
        rows: Tables = {
            "mqtt": {"host": "127.0.0.1", "port": broker.port, "protocol": broker.protocol},
            "ingest": {"port": free_port()},
            "analysis": {"port": free_port(), "pause_s": 1},
            "api": {"port": port or free_port()},
            "clock": {
                "anchor": datetime.now(UTC),
                "shown": self.state().shown_at,
                "speed": speed,
            },
        }
        return self._configured(rows)

    def _configured(self, rows: Tables) -> Settings:
        self.config.write_text(_as_toml({**self.stores, **rows}), encoding="utf-8")
        return load_settings(self.config)

    def _write(self, state: DemoState) -> None:
        aside = self._state.with_suffix(".new")
        aside.touch(mode=0o600)
        aside.write_text(json.dumps(asdict(state), ensure_ascii=False, indent=1), encoding="utf-8")
        aside.replace(self._state)


def _as_toml(rows: Tables) -> str:
    def literal(value: object) -> str:
        if isinstance(value, datetime):
            return value.isoformat()
        return json.dumps(value, ensure_ascii=False)

    tables = (
        "\n".join([f"[{name}]", *(f"{key} = {literal(value)}" for key, value in table.items())])
        for name, table in rows.items()
    )
    return "# Written anew at every start of the demonstration.\n" + "\n\n".join(tables) + "\n"
