"""A tier: one kind of row that lives hot in SQLite and, partition by partition, cold in Parquet."""

from collections.abc import Mapping
from dataclasses import dataclass

from storage.readings.partitions import Partitioning
from water import columns
from water.readings import QUANTITIES


@dataclass(frozen=True, slots=True)
class Tier:
    """What the mechanism must know of one kind of row.

    Identity is (at, meter), both whole numbers; `at` is epoch seconds, `meter` a key of the meters
    table. `others` are the other columns with their SQLite types, in the order in which they are
    stored.
    """

    name: str
    others: Mapping[str, str]
    partitioning: Partitioning

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, identity first, in physical order."""
        return ("at", "meter", *self.others)

    @property
    def create(self) -> str:
        """The hot table: rows lie in (at, meter) order, so that arriving readings append."""
        values = "".join(f", {name} {kind}" for name, kind in self.others.items())
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name} (at INTEGER, meter INTEGER{values}, "
            "PRIMARY KEY (at, meter)) WITHOUT ROWID, STRICT"
        )

    def insert(self, collision: str, rows: int = 1) -> str:
        """An INSERT of whole rows; `collision` is IGNORE or REPLACE."""
        marks = ", ".join("?" * len(self.columns))
        values = ", ".join([f"({marks})"] * rows)
        return f"INSERT OR {collision} INTO {self.name} VALUES {values}"  # noqa: S608 - our own names


def readings_tier(partitioning: Partitioning) -> Tier:
    """Readings as they came."""
    values = {columns.RECEIVED_AT: "INTEGER", **dict.fromkeys(QUANTITIES, "REAL")}
    return Tier("readings", {**values, columns.QUALITY: "INTEGER"}, partitioning)


def hourly_tier(partitioning: Partitioning) -> Tier:
    """Hourly volumes; `at` is the instant at which the hour begins."""
    return Tier("hourly", dict.fromkeys(columns.HOURLY[2:], "REAL"), partitioning)


def daily_tier(partitioning: Partitioning) -> Tier:
    """Daily volumes; `at` is the local day (partitions.seconds_of_day)."""
    return Tier("daily", dict.fromkeys(columns.DAILY[2:], "REAL"), partitioning)
