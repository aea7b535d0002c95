"""The configuration: one TOML file and JIESHUI_… variables, checked before any connection."""

import os
import re
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
from pydantic import (
    AwareDatetime,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from jieshui.errors import JieshuiError
from jieshui.mqtt_sections import Mqtt
from jieshui.sections import LOOPBACK, Section, ZoneName
from jieshui.toml_lines import find_line
from water.city_time import CityTime
from water.clock import Clock, ScaledClock, SystemClock
from water.policy import Policy, PolicyError, parse_policy

PREFIX = "JIESHUI_"
OTHER_VARIABLES = frozenset({"JIESHUI_CONFIG", "JIESHUI_NO_SKIP", "JIESHUI_SHARED_DATA"})
TEST_VARIABLES = "JIESHUI_TEST_"
"""Variables with our prefix that are no settings: where the file lies, and those of the tests."""


class City(Section):
    """[city]: its name, time zone, night window (local whole hours) and policy file."""

    name: str = "义乌"
    timezone: ZoneName = "Asia/Shanghai"
    night: tuple[int, int] = (2, 5)
    policy: Path | None = None

    @field_validator("night")
    @classmethod
    def _hours_in_order(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= value[0] < value[1] < 24:
            raise ValueError("the night window is two hours in order, like [2, 5]")
        return value


class Store(Section):
    """[store]: the folder of readings, volumes and journal, and the registry's database."""

    folder: Path = Path("var")
    registry_url: str = ""
    registry_password_file: Path | None = None


class Influx(Section):
    """[influx]: the InfluxDB 2 that keeps readings and volumes; left out, the embedded store does.

    `retention_days` 0 = for ever.
    """

    url: str
    organisation: str = "jieshui"
    bucket: str = "water"
    token_file: Path
    ca_file: Path | None = None
    retention_days: int = Field(default=0, ge=0)
    timeout_s: float = Field(default=30, gt=0)
    trust_network: bool = False

    @model_validator(mode="after")
    def _no_token_in_clear(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{self.url!r} is no address like https://influxdb:8086")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK and not self.trust_network:
            raise ValueError(
                f"the token would go to {parts.hostname} in clear: use https, or say "
                "trust_network = true where nobody else is on that network"
            )
        return self


class Journal(Section):
    """[journal]: size of a segment and how long loaded segments are kept."""

    segment_mb: int = Field(default=64, ge=1)
    keep_days: float = Field(default=30, ge=1)


class Ingest(Section):
    """[ingest]: where health and metrics listen (port 0 = nowhere), limits of message and supplier.

    `shared_group` "" = one ingest process takes the whole stream; with a name, several share it.
    `silent_s` without a message is told of, unless such a gap is usual; 0 = never. A supplier of
    which more than `overflow_messages` wait is put apart while others send; 0 = never.
    """

    shared_group: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$")
    worker: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$")
    host: str = "127.0.0.1"
    port: int = Field(default=9101, ge=0, le=65535)
    max_payload_kb: int = Field(default=256, ge=1)
    quarantine_quota: int = Field(default=10_000, ge=0)
    silent_s: float = Field(default=900, ge=0)
    overflow_messages: int = Field(default=10_000, ge=0)


class Analysis(Section):
    """[analysis]: where health and metrics listen, and the pause between cycles in seconds."""

    host: str = "127.0.0.1"
    port: int = Field(default=9102, ge=0, le=65535)
    pause_s: float = Field(default=5, gt=0)


class Api(Section):
    """[api]: where HTTP listens; `secure_cookies` once TLS stands before it.

    `push`: whether readings may be pushed here; they are kept in a journal of this process.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    secure_cookies: bool = False
    push: bool = True


class SingleSignOn(Section):
    """[sso]: log-in through the organisation's OpenID Connect provider, beside local accounts.

    The claim names an account that an administrator has made: who may see what stays here.
    """

    issuer: str
    client_id: str
    client_secret_file: Path
    login_claim: str = "preferred_username"
    label: str = "单点登录"
    public_url: str
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _no_secret_in_clear(self) -> Self:
        for name, url in (("issuer", self.issuer), ("public_url", self.public_url)):
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError(f"{name} {url!r} is no address like https://login.example.gov.cn")
            if parts.scheme == "http" and parts.hostname not in LOOPBACK:
                raise ValueError(f"{name} is without TLS: who listens could sign on as anybody")
        if urlsplit(self.public_url).path not in {"", "/"}:
            raise ValueError("public_url has a path; the dashboard needs a host of its own")
        return self


class Watch(Section):
    """[watch]: the process that watches the others and tells people by itself.

    `targets`: name → address that answers 200 while all is well. `addresses`: whom to tell;
    none = those of notify.bureau. `certificates`: files whose end is warned of, beside those that
    are named elsewhere here. `least_free`: share of the store's disk below which is warned.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=9103, ge=0, le=65535)
    targets: dict[str, str] = Field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    pause_s: float = Field(default=15, gt=0)
    silent_s: float = Field(default=120, gt=0)
    ca_file: Path | None = None
    certificates: tuple[Path, ...] = ()
    warn_days: int = Field(default=30, ge=1)
    least_free: float = Field(default=0.1, ge=0, lt=1)

    @field_validator("targets")
    @classmethod
    def _addresses(cls, value: dict[str, str]) -> dict[str, str]:
        for name, address in value.items():
            if not _is_http_address(address):
                raise ValueError(
                    f"{name}: {address!r} is no address like http://10.0.0.2:9101/readyz"
                )
        return value


def _is_http_address(address: str) -> bool:
    try:
        parsed = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    return parsed.scheme in {"http", "https"} and bool(parsed.host)


_ADDRESSES = TypeAdapter(tuple[str, ...])


class Notify(Section):
    """[notify]: apprise addresses of each audience; without one a notice is kept and shown.

    "user:ID" and "supplier:ID" are the addresses of one of them and win over the role's.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    bureau: tuple[str, ...] = ()
    utility: tuple[str, ...] = ()
    supplier: tuple[str, ...] = ()
    user: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known_audiences(self) -> Self:
        for name, addresses in (self.model_extra or {}).items():
            if not re.fullmatch(r"(user|supplier):.+", name):
                raise ValueError(f"{name!r} is no audience; user:ID and supplier:ID are")
            _ADDRESSES.validate_python(addresses)
        return self

    def audiences(self) -> dict[str, tuple[str, ...]]:
        """Audience → its addresses."""
        return {name: tuple(addresses) for name, addresses in self.model_dump().items()}


class ClockSection(Section):
    """[clock]: a clock of its own for demonstrations and replays; left out, the machine's."""

    anchor: AwareDatetime
    shown: AwareDatetime
    speed: float = Field(default=1, ge=0)


class Settings(BaseSettings):
    """Everything that can be set. Precedence: environment, then the file, then the defaults."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )
    city: City = City()
    store: Store = Store()
    influx: Influx | None = None
    mqtt: Mqtt = Mqtt()
    journal: Journal = Journal()
    ingest: Ingest = Ingest()
    analysis: Analysis = Analysis()
    api: Api = Api()
    notify: Notify = Notify()
    sso: SingleSignOn | None = None
    watch: Watch = Watch()
    clock: ClockSection | None = None

    file: ClassVar[Path | None] = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment overrule the file, which is handed in as arguments."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @property
    def registry_url(self) -> str:
        """The registry's database; SQLite in the store's folder when none is named."""
        return self.store.registry_url or f"sqlite:///{self.store.folder / 'registry.sqlite'}"

    @property
    def watch_addresses(self) -> tuple[str, ...]:
        """Whom the watch tells."""
        return self.watch.addresses or self.notify.bureau

    def city_time(self) -> CityTime:
        """The city's days and nights."""
        return CityTime(ZoneInfo(self.city.timezone), self.city.night)

    def make_clock(self) -> Clock:
        """The machine's clock, or the scaled one that the file asks for."""
        if self.clock is None:
            return SystemClock()
        return ScaledClock(self.clock.anchor, self.clock.shown, self.clock.speed)

    def policy(self) -> Policy:
        """The city's policy; the defaults when no file is named.

        Raises:
            JieshuiError: naming the file and what is wrong in it.
        """
        if self.city.policy is None:
            return Policy()
        if not self.city.policy.exists():
            raise JieshuiError(f"city.policy names {self.city.policy}, and nothing is there")
        rows = _read_toml(self.city.policy)
        try:
            return parse_policy(rows)
        except PolicyError as error:
            line = find_line(self.city.policy.read_text(encoding="utf-8"), [error.key])
            raise JieshuiError(f"{self.city.policy}, line {line}: {error}") from None


def load_settings(path: Path | None) -> Settings:
    """Read and check the configuration.

    Paths in the file are relative to the file's own folder.

    Raises:
        JieshuiError: naming the file, the line and the reason.
    """
    _refuse_unknown_variables()
    rows = _read_toml(path) if path else {}
    try:
        settings = Settings(**rows)
    except ValidationError as error:
        raise JieshuiError(_first_error(error, path)) from None
    return _anchored(settings, path.resolve().parent if path else Path.cwd())


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise JieshuiError(
            f"there is no configuration at {path}; `jieshui init` writes one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise JieshuiError(f"{path} can't be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise JieshuiError(f"{path} is not TOML: {error}") from None


def _refuse_unknown_variables() -> None:
    """pydantic-settings ignores a misspelt variable, so compare the names ourselves."""
    for name in os.environ:
        ours = name.startswith(PREFIX) and not name.startswith(TEST_VARIABLES)
        if not ours or name in OTHER_VARIABLES:
            continue
        section, _, key = name.removeprefix(PREFIX).lower().partition("__")
        field = Settings.model_fields.get(section)
        model = _section_model(field.annotation) if field else None
        if model is None or (key and key.split("__")[0] not in model.model_fields):
            raise JieshuiError(f"the environment sets {name}, which is no setting of jieshui")


def _section_model(annotation: Any) -> type[Section] | None:
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def _first_error(error: ValidationError, path: Path | None) -> str:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    name = ".".join(place)
    reason = "is no setting of jieshui" if first["type"] == "extra_forbidden" else first["msg"]
    variable = PREFIX + "__".join(place).upper()
    if variable in os.environ:
        return f"the environment's {variable}: {reason}"
    if path is None:
        return f"setting {name}: {reason}"
    line = find_line(path.read_text(encoding="utf-8"), place)
    where = f"{path}, line {line}" if line else str(path)
    return f"{where}: {name}: {reason}"


def _anchored(settings: Settings, base: Path) -> Settings:
    """Make the paths of the file absolute."""

    def anchor(value: Any) -> Any:
        if isinstance(value, Path):
            return base / value
        if isinstance(value, tuple):
            return tuple(anchor(part) for part in value)
        if isinstance(value, Section):
            fields = {name: anchor(part) for name, part in value}
            return value.model_copy(update=fields)
        return value

    return settings.model_copy(update={name: anchor(part) for name, part in settings})


def clock_rows(anchor: datetime, shown: datetime, speed: float) -> dict[str, Any]:
    """The [clock] table that shows `shown` at `anchor`."""
    return {"anchor": anchor, "shown": shown, "speed": speed}
