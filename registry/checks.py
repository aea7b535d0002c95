"""What a row must be as a whole, and among the others: rules, keys, references."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from registry import credit_code
from registry.kinds import KINDS, Kind
from registry.report import Problem
from registry.tables import Row
from water.dialects import Dialect

LONGEST_BILL_DAYS = 400
"""A meter is billed once a year at least; a longer period is a day mistyped (own rule)."""


def check_row(kind: Kind, row: Row) -> Iterator[Problem]:
    """What is wrong with a row whose cells are all good, by the rules of its kind."""
    rule = _RULES.get(kind.name)
    if rule is not None and not row.broken:
        yield from rule(row)


def _check_user(row: Row) -> Iterator[Problem]:
    code = row.values["credit_code"]
    if code and not credit_code.valid(code):
        # A warning: no figure rests on the code, and old registers hold wrong ones.
        fits = credit_code.check_character(code[:-1])
        wanted = f"the check character does not fit; these 17 end with {fits} (GB 32100)"
        yield row.problem("credit_code", wanted, warning=True)


def _check_zone(row: Row) -> Iterator[Problem]:
    if row.values["parent_id"] == row.values["id"]:
        yield row.problem("parent_id", "a zone can't lie in itself")


def _check_meter(row: Row) -> Iterator[Problem]:
    values = row.values
    if values["role"] == "customer" and values["user_id"] is None:
        yield row.problem("user_id", "a customer meter needs the id of its user")
    if values["role"] in {"zone_inlet", "zone_outlet"} and values["zone_id"] is None:
        yield row.problem("zone_id", "an inlet or outlet meter needs the id of its zone")
    begin, end = values["in_service_from"], values["in_service_to"]
    if begin is not None and end is not None and end <= begin:
        yield row.problem("in_service_to", "this lies not after in_service_from")


_EUI_DIALECTS = frozenset({Dialect.CHIRPSTACK, Dialect.THETHINGSSTACK})


def _check_device(row: Row) -> Iterator[Problem]:
    values = row.values
    address = values["address"]
    if values["dialect"] in _EUI_DIALECTS and address != address.lower():
        yield row.problem("address", f"a devEui in lower case: {address.lower()}")


def _check_plan(row: Row) -> Iterator[Problem]:
    if not any(row.values[f"m{i:02}"] for i in range(1, 13)):
        yield row.problem("", "the plan of every month is 0", warning=True)


def _check_return(row: Row) -> Iterator[Problem]:
    values = row.values
    if values["household_m3"] > values["billed_metered_m3"]:
        yield row.problem("household_m3", "this is a part of billed_metered_m3, but more than it")
    supplied = values["own_m3"] + values["purchased_m3"]
    used = sum(
        values[name]
        for name in (
            "billed_metered_m3", "billed_unmetered_m3", "free_metered_m3", "free_unmetered_m3",
        )
    )  # fmt: skip
    if used > supplied:
        yield row.problem("", f"{used:g} m³ used of {supplied:g} m³ supplied", warning=True)


def _check_works(row: Row) -> Iterator[Problem]:
    if row.values["ends"] <= row.values["begins"]:
        yield row.problem("ends", "this lies not after begins")


_RULES: Mapping[str, Callable[[Row], Iterator[Problem]]] = {
    "users": _check_user,
    "zones": _check_zone,
    "meters": _check_meter,
    "devices": _check_device,
    "plans": _check_plan,
    "monthly_returns": _check_return,
    "works": _check_works,
}


def key_of(kind: Kind, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """What names a row of a kind."""
    return tuple(values[name] for name in kind.key)


def check_keys(kind: Kind, rows: list[Row]) -> Iterator[Problem]:
    """Rows that name the same thing as an earlier one."""
    first: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        if not all(name in row.values for name in kind.key):
            continue
        earlier = first.setdefault(key_of(kind, row.values), row)
        if earlier is not row:
            named = ", ".join(kind.key)
            wanted = f"the same {named} stands in row {earlier.number} of {earlier.place} already"
            yield row.problem(kind.key[-1], wanted)


def check_references(
    kind: Kind, rows: list[Row], known: Callable[[str], set[str]]
) -> Iterator[Problem]:
    """Ids that stand neither in the import nor in the database: `known` gives those of a kind."""
    for column in kind.columns:
        if not column.refers_to:
            continue
        ids = known(column.refers_to)
        word = KINDS[column.refers_to].title
        wanted = f"no row of {column.refers_to} {word} with this id, here or in the registry"
        for row in rows:
            value = row.values.get(column.name)
            if value is not None and value not in ids:
                yield row.problem(column.name, wanted)


def check_owners(rows: list[Row], suppliers: Mapping[str, str]) -> Iterator[Problem]:
    """Devices of one supplier at the meter of another; `suppliers` of every meter, new ones too."""
    for row in rows:
        owner = suppliers.get(row.values.get("meter_id", ""))
        if owner is not None and row.values.get("supplier_id") not in {None, owner}:
            yield row.problem("supplier_id", f"{owner}, whose meter this is")


def check_moves(rows: list[Row], standing: Mapping[tuple[Any, ...], Any]) -> Iterator[Problem]:
    """Addresses that led to another meter until now."""
    for row in rows:
        values = row.values
        before = standing.get(tuple(values.get(name) for name in KINDS["devices"].key))
        if before is not None and before["meter_id"] != values.get("meter_id"):
            wanted = f"this address led to meter {before['meter_id']} until now"
            yield row.problem("meter_id", wanted, warning=True)


def check_periods(rows: list[Row], today: date) -> Iterator[Problem]:
    """Billed periods that have not ended before `today` (the city's), or are none."""
    for row in rows:
        if row.broken:
            continue
        first, last = row.values["first"], row.values["last"]
        if last > today:
            yield row.problem("last", "this lies in the future")
        elif last == today:
            yield row.problem("last", "this is today: a billed period ends on a day that is over")
        elif last < first:
            yield row.problem("last", "this lies before first")
        elif last - first >= timedelta(days=LONGEST_BILL_DAYS):
            yield row.problem("last", f"a billed period has at most {LONGEST_BILL_DAYS} days")


def check_nesting(rows: list[Row], parents: Mapping[str, str | None]) -> Iterator[Problem]:
    """Zones that lie in themselves by way of others; `parents` of every zone, new ones included."""
    for row in rows:
        seen: set[str] = set()
        zone_id: str | None = row.values.get("id")
        while zone_id is not None and zone_id not in seen:
            seen.add(zone_id)
            zone_id = parents.get(zone_id)
        if zone_id is not None and zone_id == row.values.get("id") and len(seen) > 1:
            yield row.problem("parent_id", "this zone lies in itself by way of its parents")
