"""How to reach InfluxDB 2."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class InfluxSettings:
    """One bucket of one server.

    Attributes:
        url: like https://influxdb:8086.
        token: may read and write the bucket; never shown nor logged.
        organisation: the bucket's owner.
        bucket: where readings and volumes are kept.
        ca_file: certificates to trust instead of the system's.
        retention_days: how long the bucket keeps what it is given; 0 = for ever.
        timeout_s: seconds that one request may take.
    """

    url: str
    token: str = field(repr=False)
    organisation: str = "jieshui"
    bucket: str = "water"
    ca_file: Path | None = None
    retention_days: int = 0
    timeout_s: float = 30
