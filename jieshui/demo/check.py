"""Compares what was planted into the virtual city with what the system found."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from threading import Event
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from jieshui.demo.installation import UNTIL, Installation
from jieshui.demo.processes import Running
from jieshui.errors import JieshuiError
from jieshui.wiring import Stores, open_stores
from simulators.run import StreamCounts
from storage.queries import IngestQueries
from storage.registry.figures import FigureStore
from storage.registry.queries import RegistryQueries
from water.columns import AT, DAY, METER_ID, VERDICT, VOLUME_M3
from water.viewer import Role, Viewer

VIEWER = Viewer("demo check", Role.ADMINISTRATOR)
PATIENCE_S = 900
BEGIN_TOLERANCE = timedelta(days=2)
"""A finding begins with the first whole night or day that shows it."""
SIZES = {
    "used_m3": ("used_m3", 0.001),
    "plan_m3": ("plan_m3", 0.001),
    "flow_m3_h": ("rise_m3_h", 0.25),
}
"""Planted size → figure of the evidence that must match it, and the share it may be off.

Use and plan are exact; a rise is measured through the noise of real nights, whose robust sigma is
up to 2.5 % of the mean inflow against bursts of 12 to 15 %."""
VOLUME_TOLERANCE = 0.0005
"""Registers are published in whole litres; a volume is a difference of two (m³)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was planted, or that must hold: what was expected and what is there."""

    what: str
    subject: str
    expected: str
    found: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome: the lines that decide, and what is said about the real districts' own water."""

    lines: tuple[Line, ...]
    unlabelled: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every line holds."""
        return all(line.passed for line in self.lines)


def check(
    installation: Installation, demonstration: Running, streamed: StreamCounts, stop: Event
) -> Checked:
    """Wait until everything is loaded and analysed, then hold it against the truth.

    Raises:
        JieshuiError: when the analysis does not come to rest, or a process ends.
    """
    truth = json.loads(installation.truth.read_text(encoding="utf-8"))
    with open_stores(demonstration.settings) as stores:
        _wait_until_analysed(stores, demonstration, stop)
        queries = RegistryQueries(stores.engine, stores.clock, demonstration.settings.city_time())
        alerts = list(_pages(queries))
        lines = [
            *_planted_lines(truth, alerts),
            *_claim_lines(truth, alerts),
            _detector_line(stores),
            *_event_lines(truth, _verdicts(stores)),
            *_volume_lines(truth, stores),
            *_count_lines(truth, stores, streamed),
            *_rate_lines(truth, queries),
        ]
    return Checked(tuple(lines), tuple(_unlabelled(truth, alerts)))


def print_table(checked: Checked, *, as_json: bool) -> None:
    """Print what was planted and what was found."""
    if as_json:
        rows = {"passed": checked.passed, **asdict(checked)}
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    out = Console(soft_wrap=True, highlight=False)
    if not out.is_terminal:
        out.width = 200  # a log has no edge; eighty columns would break every line
    table = Table("", "planted", "subject", "expected", "found")
    for line in checked.lines:
        mark = "[green]✓[/]" if line.passed else "[bold red]✗[/]"
        table.add_row(mark, line.what, line.subject, line.expected, line.found)
    out.print(table)
    if checked.unlabelled:
        out.print("About the real districts' own water (unlabelled, not judged):")
        for sentence in checked.unlabelled:
            out.print(f"  {sentence}")
    out.print("[green]All found, nothing else claimed.[/]" if checked.passed else "[red]Failed.[/]")


def _wait_until_analysed(stores: Stores, demonstration: Running, stop: Event) -> None:
    waited = 0.0
    while not _analysed(stores):
        demonstration.supervisor.check()
        if stop.wait(0.5):
            raise JieshuiError("stopped before the check was done")
        waited += 0.5
        if waited > PATIENCE_S:
            raise JieshuiError(f"the analysis did not come to rest within {PATIENCE_S} s")


def _analysed(stores: Stores) -> bool:
    evaluated = (stores.state.get("evaluated") or {}).get("mark", -1)
    return evaluated >= 0 and stores.readings.touched_days(evaluated, 1).mark == evaluated


def _pages(queries: RegistryQueries) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = queries.alerts(VIEWER, state="all", cursor=cursor)
        yield from page.rows
        if page.next is None:
            return
        cursor = page.next


def _planted_lines(truth: Mapping[str, Any], alerts: list[dict[str, Any]]) -> Iterator[Line]:
    found = {_identity(alert): alert for alert in alerts if alert["state"] != "resolved"}
    for plant in truth["planted"]:
        alert = found.get((plant["kind"], plant["subject_kind"], plant["subject_id"]))
        expected = ", ".join(f"{name} {value:g}" for name, value in plant["size"].items())
        said, passed = ("nothing", False) if alert is None else _compare(plant, alert)
        yield Line(plant["kind"], plant["subject_id"], expected, said, passed)


def _compare(plant: Mapping[str, Any], alert: Mapping[str, Any]) -> tuple[str, bool]:
    """What an alert says of a planted subject, and whether its begin and size are right."""
    said, passed = [alert["state"], alert["severity"]], True
    if plant["begin"]:
        late = (alert["since"] or UNTIL) - datetime.fromisoformat(plant["begin"])
        said.append(f"begun {late / timedelta(days=1):+.1f} days off")
        passed = abs(late) <= BEGIN_TOLERANCE
    for planted, (figure, share) in SIZES.items():
        if planted in plant["size"]:
            value = alert["evidence"]["figures"][figure]
            said.append(f"{figure} {value:g}")
            passed = passed and abs(value / plant["size"][planted] - 1) <= share
    return ", ".join(said), passed


def _claim_lines(truth: Mapping[str, Any], alerts: list[dict[str, Any]]) -> Iterator[Line]:
    planted = {(p["kind"], p["subject_kind"], p["subject_id"]) for p in truth["planted"]}
    wrong = [
        f"{alert['rule']} {alert['subject_id']}"
        for alert in alerts
        if _identity(alert) not in planted and not _about_real_water(truth, alert)
    ]
    yield Line(
        "nothing else", "virtual city", "0 claims", "; ".join(wrong) or "0 claims", not wrong
    )


def _detector_line(stores: Stores) -> Line:
    failed = (stores.state.get("evaluated") or {}).get("failed", ["never evaluated"])
    return Line("detectors", "all", "none failed", ", ".join(failed) or "none failed", not failed)


def _about_real_water(truth: Mapping[str, Any], alert: Mapping[str, Any]) -> bool:
    burst = truth["virtual"]["burst_zone"]
    return alert["subject_kind"] == "zone" and alert["subject_id"] != burst


def _unlabelled(truth: Mapping[str, Any], alerts: list[dict[str, Any]]) -> Iterator[str]:
    for alert in alerts:
        if _about_real_water(truth, alert):
            yield f"{alert['rule']} {alert['subject_id']} since {alert['since']}"


def _identity(alert: Mapping[str, Any]) -> tuple[str, str, str]:
    return alert["rule"], alert["subject_kind"], alert["subject_id"]


def _verdicts(stores: Stores) -> list[tuple[str, str, datetime]]:
    begin, end = UNTIL - timedelta(days=1000), UNTIL + timedelta(days=1)
    frame = FigureStore(stores.engine).load_verdicts(begin, end)
    rows = zip(frame[METER_ID], frame[VERDICT], frame[AT], strict=True)
    return [(meter, str(verdict), at.to_pydatetime()) for meter, verdict, at in rows]


def _event_lines(
    truth: Mapping[str, Any], verdicts: list[tuple[str, str, datetime]]
) -> Iterator[Line]:
    names = {"rollover": "rollover", "meter_change": "meter_changed"}
    planted = {(event["meter_id"], names[event["kind"]]): event for event in truth["events"]}
    for (meter, verdict), event in planted.items():
        at = datetime.fromisoformat(event["at"])
        near = [v for v in verdicts if v[:2] == (meter, verdict)]
        passed = len(near) == 1 and timedelta() <= near[0][2] - at <= timedelta(days=1)
        said = ", ".join(f"{v[2]:%Y-%m-%d %H:%M}Z" for v in near) or "nothing"
        yield Line(verdict, meter, f"{at:%Y-%m-%d %H:%M}Z", said, passed)
    others = [v for v in verdicts if v[:2] not in planted]
    said = "; ".join(f"{v[1]} {v[0]} {v[2]:%Y-%m-%d %H:%M}Z" for v in others[:5]) or "none"
    yield Line("no other verdict", "all meters", "none", said, not others)


def _volume_lines(truth: Mapping[str, Any], stores: Stores) -> Iterator[Line]:
    first = date.fromisoformat(truth["first_day"])
    last = first + timedelta(days=truth["days"] - 1)
    daily = stores.volumes.load_daily(None, first, last)
    days = {day: i for i, day in enumerate(_days(first, truth["days"]))}
    worst, missing = (0.0, "–"), 0
    seen: dict[str, float] = {}
    rows = zip(daily[METER_ID], daily[DAY], daily[VOLUME_M3], strict=True)
    for meter, day, volume in rows:
        expected = truth["meters"][meter]["days_m3"][days[day.date()]]
        off = abs(volume - expected)
        # NaN compares as false, so that a missing day is counted and never passes as equal.
        if not off <= VOLUME_TOLERANCE:
            missing += 1
        worst = max(worst, (off, f"{meter} {day:%Y-%m-%d}"))
        seen[meter] = seen.get(meter, 0.0) + volume
    wanted = len(truth["meters"]) * truth["days"]
    yield Line(
        "volume of each day", f"{len(truth['meters'])} meters", f"{wanted} days, ±0.0005 m³",
        f"{len(daily)} days, {missing} off, worst {worst[0]:.6f} m³ ({worst[1]})",
        len(daily) == wanted and missing == 0,
    )  # fmt: skip
    total = sum(meter["total_m3"] for meter in truth["meters"].values())
    got = sum(seen.values())
    yield Line(
        "volume of the history", "all meters", f"{total:.3f} m³", f"{got:.3f} m³",
        abs(got - total) <= VOLUME_TOLERANCE * len(truth["meters"]),
    )  # fmt: skip


def _days(first: date, count: int) -> list[date]:
    return [first + timedelta(days=i) for i in range(count)]


def _count_lines(
    truth: Mapping[str, Any], stores: Stores, streamed: StreamCounts
) -> Iterator[Line]:
    sums = {row["supplier"]: row for row in IngestQueries(stores.readings).sums(VIEWER)}
    for supplier, of in truth["suppliers"].items():
        row = sums.get(supplier)
        stored = row["readings"]["stored"] if row else 0
        yield Line(
            "stored once", supplier, f"{of['readings']} readings",
            f"{stored} stored, {row['readings']['duplicate'] if row else 0} duplicates",
            stored == of["readings"],
        )  # fmt: skip
        yield Line(
            "both sums", supplier, "balanced, nothing waiting",
            f"received {row['messages']['received']}, waiting {row['messages']['waiting']}"
            if row else "nothing",
            bool(row and row["balanced"] and row["messages"]["waiting"] == 0),
        )  # fmt: skip
        if of["garbage"]:
            yield _garbage_line(supplier, of["garbage"], row, streamed)


def _garbage_line(
    supplier: str, garbage: Mapping[str, int], row: Mapping[str, Any] | None,
    streamed: StreamCounts,
) -> Line:  # fmt: skip
    """Every kind of garbage is counted under its reason: at least once each, more when resent."""
    counted = {r["reason"]: r["count"] for r in row["reasons"]} if row else {}
    resent = streamed.by_supplier[supplier].resent
    passed = all(
        of <= counted.get(reason, 0) <= of + resent for reason, of in garbage.items()
    ) and set(counted) <= set(garbage)
    return Line(
        "garbage by reason", supplier, ", ".join(f"{k} {v}" for k, v in sorted(garbage.items())),
        ", ".join(f"{k} {v}" for k, v in sorted(counted.items())), passed,
    )  # fmt: skip


def _rate_lines(truth: Mapping[str, Any], queries: RegistryQueries) -> Iterator[Line]:
    expected = truth["city"]
    period = f"r12:{expected['months'][-1]}"
    rates = {row["period"]: row for row in queries.city_rates(VIEWER)}
    row = rates.get(period)
    said = f"{row['gross_rate']:.5f} / {row['rate']:.5f}" if row and row["rate"] else "nothing"
    close = bool(
        row
        and row["rate"]
        and abs(row["gross_rate"] - expected["gross_rate"]) < 1e-6
        and abs(row["rate"] - expected["rate"]) < 1e-6
    )
    yield Line(
        "loss rate gross / corrected", period,
        f"{expected['gross_rate']:.5f} / {expected['rate']:.5f}", said, close,
    )  # fmt: skip
