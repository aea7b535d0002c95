"""The settings of ingest: checked when they are made, before any connection."""

from dataclasses import dataclass, field
from pathlib import Path

from ingest.agreements import NO_AGREEMENTS, Agreements
from ingest.errors import SettingsError


def _require(holds: object, sentence: str) -> None:
    if not holds:
        raise SettingsError(sentence)


def is_topic_filter(text: str) -> bool:
    """Whether MQTT knows such a filter."""
    levels = text.split("/")
    whole = all(level in {"+", "#"} or not set("+#") & set(level) for level in levels)
    return bool(text) and whole and "#" not in levels[:-1]


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """How to reach the broker.

    Attributes:
        host: name or address of the broker.
        port: its port.
        version: "3.1.1" or "5".
        client_id: fixed, because the broker keeps the session under it while we are away.
        username: login, or None.
        password: its password, never shown nor logged.
        tls: whether to speak TLS; true by itself once a certificate file is given.
        ca_file: certificates to trust instead of the system's.
        cert_file: our client certificate.
        key_file: its key.
        keepalive_s: seconds between pings.
        session_expiry_s: how long the broker keeps the session while we are away (MQTT 5).
        receive_maximum: messages the broker may have in flight to us (MQTT 5).
        fast: whether to read with `ingest.broker.fast_client`; false = with paho's own reading.
    """

    host: str = "localhost"
    port: int = 1883
    version: str = "3.1.1"
    client_id: str = "jieshui-ingest"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    keepalive_s: int = 60
    session_expiry_s: int = 30 * 86_400
    receive_maximum: int = 1_000
    fast: bool = True

    def __post_init__(self) -> None:
        """Refuse what can't be."""
        _require(self.version in {"3.1.1", "5"}, f"mqtt version is {self.version!r}: 3.1.1 or 5")
        _require(0 < self.port < 65_536, f"mqtt port is {self.port}: 1 to 65535")
        _require(self.client_id, "mqtt client_id is empty: the session needs a fixed name")
        _require(
            not set("/+#") & set(self.client_id), f"mqtt client_id {self.client_id!r}: no / + #"
        )
        _require(0 < self.receive_maximum < 65_536, "mqtt receive_maximum: 1 to 65535")
        _require(self.keepalive_s > 0, f"mqtt keepalive_s is {self.keepalive_s}: 1 or more")
        for name in ("ca_file", "cert_file", "key_file"):
            path: Path | None = getattr(self, name)
            _require(path is None or path.is_file(), f"mqtt {name} is {path}: no such file")


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """Where the journal lies and how it is cut.

    Attributes:
        folder: its folder, used by nothing else.
        name: its name, under which the store keeps the position of the loader.
        segment_bytes: a segment is closed once it is this long.
        keep_days: days that a loaded segment is kept after it was closed, at least 1: a store
            that a power cut takes back to an older position must find what it lost.
        group_messages: messages that fill a group commit.
        group_bytes: payload bytes that fill one.
        group_ms: the longest that a message waits for its group, milliseconds.
        recent_messages: so many that are durable and not loaded stay in memory besides, so that
            loading need not read them back; 0 = none.
    """

    folder: Path
    name: str = "ingest"
    segment_bytes: int = 64 * 1024 * 1024
    keep_days: float = 30
    group_messages: int = 1_000
    group_bytes: int = 4 * 1024 * 1024
    group_ms: int = 200
    recent_messages: int = 200_000

    def __post_init__(self) -> None:
        """Refuse what can't be."""
        for name in ("segment_bytes", "group_messages", "group_bytes", "group_ms"):
            _require(getattr(self, name) > 0, f"journal {name} is {getattr(self, name)}: above 0")
        _require(self.keep_days >= 1, f"journal keep_days is {self.keep_days}: 1 or more")
        _require(self.name, "journal name is empty")


@dataclass(frozen=True, slots=True)
class Source:
    """A platform that can't choose its topic: what comes in under a filter, and whose it is."""

    topic_filter: str
    dialect: str
    supplier: str

    def __post_init__(self) -> None:
        """Refuse a filter that MQTT does not know."""
        proper = is_topic_filter(self.topic_filter)
        _require(proper, f"source filter {self.topic_filter!r} is not MQTT's")


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds memory, disk and the harm one sender can do.

    Attributes:
        payload_bytes: a longer payload is not kept, but counted as too large.
        batch_readings: readings after which a load is committed.
        batches: full loads that may overlap the ones after them before other loaders have their
            turn. Worth it where the store is a server, not where it is a library of this process.
        quarantine_quota: rows of quarantine a supplier; beyond it reasons are still counted.
        quarantine_sample: beyond the quota one refused reading in so many is kept.
    """

    payload_bytes: int = 256 * 1024
    batch_readings: int = 20_000
    batches: int = 1
    quarantine_quota: int = 100_000
    quarantine_sample: int = 1_000

    @property
    def first_batch(self) -> int:
        """Where batches overlap they begin small and double: a server has something to do soon."""
        return max(1, self.batch_readings // 8) if self.batches > 1 else self.batch_readings

    def __post_init__(self) -> None:
        """Refuse what can't be."""
        for name in (
            "payload_bytes", "batch_readings", "batches", "quarantine_quota", "quarantine_sample",
        ):  # fmt: skip
            _require(getattr(self, name) > 0, f"limit {name} is {getattr(self, name)}: above 0")


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """Everything that ingest can be told.

    Attributes:
        mqtt: the broker.
        journal: what is kept before it is acknowledged.
        sources: platforms that can't choose their topic.
        agreements: what is settled with single suppliers.
        limits: what bounds memory and disk.
        receipts: whether suppliers are sent receipts.
        shared_group: name of the shared subscription of several processes; "" = this one takes
            the whole stream.
        worker: tells the workers of one machine from those of another.
        pushing: whether API processes take pushed readings, and load the journals of these doors.
        silent_s: after so long without a message (where gaps are usual: longer) the broker is
            connected to anew, and then the silence is told of; 0 = never.
        overflow_messages: a supplier of which more wait is put apart while others send; 0 = never.
    """

    mqtt: MqttSettings
    journal: JournalSettings
    sources: tuple[Source, ...] = ()
    limits: Limits = field(default_factory=Limits)
    receipts: bool = True
    shared_group: str = ""
    worker: str = ""
    pushing: bool = True
    silent_s: float = 900
    overflow_messages: int = 10_000
    agreements: Agreements = NO_AGREEMENTS

    def __post_init__(self) -> None:
        """Refuse what can't be."""
        for name in ("shared_group", "worker"):
            said = getattr(self, name)
            _require(not set("/+#") & set(said), f"ingest {name} is {said!r}: no / + #")
        reserved = self.worker.split("-")[0] in {"http", "import"}
        _require(not reserved, f"ingest worker is {self.worker!r}: other journals are called so")
        _require(self.silent_s >= 0, f"ingest silent_s is {self.silent_s}: 0 or more")
        few = self.overflow_messages
        _require(few >= 0, f"ingest overflow_messages is {few}: 0 or more")
