"""The city's registry as files that `jieshui import` reads: one CSV a kind."""

import csv
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from simulators.city import City
from simulators.places import PLACES

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "suppliers": ("id", "name"),
    "zones": ("id", "name", "parent_id", "mains_km", "connections", "pressure_mpa"),
    "users": (
        "id", "name", "sector", "credit_code", "township", "annual_volume_m3", "contact",
    ),
    "meters": (
        "id", "supplier_id", "role", "serial", "user_id", "zone_id", "modulus_m3", "q3_m3_h",
        "interval_s", "in_service_from", "in_service_to",
    ),
    "devices": ("supplier_id", "dialect", "address", "meter_id"),
    "meter_changes": ("meter_id", "at", "old_final_m3", "new_initial_m3", "reason"),
    "plans": (
        "user_id", "year", *(f"m{month:02d}" for month in range(1, 13)), "issued_by",
        "issued_on", "reason",
    ),
    "monthly_returns": (
        "month", "own_m3", "purchased_m3", "billed_metered_m3", "billed_unmetered_m3",
        "free_metered_m3", "free_unmetered_m3", "household_m3", "mains_km", "outlet_pressure_mpa",
    ),
    "works": ("zone_id", "kind", "begins", "ends", "note"),
}  # fmt: skip
"""Kind → header of its CSV."""


def write_registry(city: City, folder: Path) -> None:
    """Write suppliers.csv, zones.csv … into `folder`; the same city, the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: Mapping[str, Iterable[Any]] = {
        "suppliers": city.suppliers,
        "zones": PLACES,
        "users": [user.user for user in city.users],
        "meters": [meter.meter for meter in city.meters],
        "devices": [
            meter.device for meter in city.meters if meter.supplier.dialect != "jieshui"
        ],  # in its own dialect a meter's id is its address
        "meter_changes": city.changes,
        "plans": city.plans,
        "monthly_returns": city.returns,
        "works": city.works,
    }
    for kind, columns in COLUMNS.items():
        with (folder / f"{kind}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_cell(row, column) for column in columns] for row in rows[kind])


def _cell(row: Any, column: str) -> Any:
    """The value of a column; months of a plan are m01 to m12, what a place lacks is empty."""
    if column.startswith("m") and column[1:].isdigit():
        return row.months_m3[int(column[1:]) - 1]
    value = getattr(row, column, None)
    return value.isoformat() if isinstance(value, datetime) else value
