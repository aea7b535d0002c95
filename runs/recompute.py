"""Touched meter-days → checked readings → volumes, verdicts, arrivals; then the zones' figures."""
# pandas annotates itself only in part:
# pyright: reportArgumentType=false, reportReturnType=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import pandas as pd

from analytics.nesting import zones_around, zones_inside
from analytics.nights import compute_zone_nights
from analytics.quality import compute_arrivals
from analytics.series import Verdict, check_series
from analytics.volumes import compute_daily_volumes, compute_hourly_volumes
from analytics.zones import compute_zone_days, compute_zone_hours
from runs.edits import Edits, days_edited, group_edits, load_edited
from runs.ports import Figures, Readings, Registry, Volumes
from runs.spans import Span, widened
from water.city_time import CityTime
from water.columns import AT, DAY, FLOW_M3_H, METER_ID, QUALITY, REGISTER_M3, START, VERDICT
from water.meters import Meter, MeterChange, MeterRole
from water.policy import Policy
from water.readings import Quality
from water.zones import Zone


@dataclass(frozen=True, slots=True)
class Known:
    """The registry's rows that a recomputation needs, read once a cycle."""

    meters: Mapping[str, Meter]
    changes: list[MeterChange]
    zones: list[Zone]
    edits: Edits
    decided: frozenset[tuple[str, datetime, str, float]]


def read_known(registry: Registry) -> Known:
    """Read what the registry says now."""
    return Known(
        {m.id: m for m in registry.meters()},
        registry.meter_changes(),
        registry.zones(),
        group_edits(registry.edits()),
        registry.decided_conflicts(),
    )


@dataclass(frozen=True, slots=True)
class ZoneSpan:
    """Zones whose meters' volumes changed on the local days `first` to `last`."""

    zone_ids: frozenset[str]
    first: date
    last: date


class Recomputation:
    """Computes days again from the stores; each save replaces, so that repeating is harmless.

    `pulse` is called before every save, and what it raises ends the work.
    """

    def __init__(
        self,
        readings: Readings,
        volumes: Volumes,
        figures: Figures,
        *,
        policy: Policy,
        city: CityTime,
        pulse: Callable[[], None],
    ) -> None:
        self._readings = readings
        self._volumes = volumes
        self._figures = figures
        self._policy = policy
        self._city = city
        self._pulse = pulse

    def recompute_span(self, span: Span, known: Known, now: datetime, rows: int) -> list[ZoneSpan]:
        """Volumes, verdicts and arrivals of a span; the zones that they touch."""
        zones: list[ZoneSpan] = []
        waiting = [span]
        while waiting:
            for part in waiting.pop().split(rows):
                checked = self._check(part, known)
                wider = widened(checked, part, self._city)
                if wider:
                    waiting.append(wider)
                    left = set(part.meter_ids).difference(wider.meter_ids)
                    part = replace(part, meter_ids=tuple(sorted(left)))  # noqa: PLW2901 (the rest)
                    checked = checked[checked[METER_ID].isin(part.meter_ids)]
                zones += self._save(part, checked.reset_index(drop=True), known, now)
        return zones

    def _check(self, span: Span, known: Known) -> pd.DataFrame:
        """The readings that have a say in a span, judged."""
        first, last = span.loaded
        start, end = self._city.day_start(first), self._city.day_start(last + timedelta(days=1))
        readings = load_edited(self._readings, span.meter_ids, start, end, known.edits)
        meters, changes = _of_span(span, known)
        contested = _contested(self._readings.conflicts(start, end), readings, known.decided)
        return check_series(readings, meters, changes, contested, policy=self._policy)

    def _save(
        self, span: Span, checked: pd.DataFrame, known: Known, now: datetime
    ) -> list[ZoneSpan]:
        """Save what is said of the meters of a span that have readings here."""
        first, last = span.saved
        last = min(last, self._city.day_of(now))
        heard = _days_heard(checked, span.meter_ids, known.edits, self._city)
        if heard.empty or last < first:
            return []
        span = replace(span, meter_ids=tuple(heard.index))
        meters, changes = _of_span(span, known)
        hourly = compute_hourly_volumes(
            checked,
            meters,
            changes,
            self._city.hour_edges(first, last),
            max_gap_factor=self._policy.max_gap_factor,
        )
        daily = compute_daily_volumes(hourly, self._city)
        hourly = _within(hourly, _local_days(hourly[START], self._city), heard)
        self._pulse()
        self._volumes.save(hourly[hourly[START] < now], _within(daily, daily[DAY], heard))
        self._pulse()
        self._save_verdicts(span, checked, first, last)
        arrivals = compute_arrivals(checked, meters, first, last, self._city)
        self._pulse()
        self._figures.save_arrivals(_within(arrivals, arrivals[DAY], heard))
        zones = frozenset(m.zone_id for m in meters if m.zone_id)
        return [ZoneSpan(zones, first, last)] if zones else []

    def _save_verdicts(self, span: Span, checked: pd.DataFrame, first: date, last: date) -> None:
        start, end = self._city.day_start(first), self._city.day_start(last + timedelta(days=1))
        told = (checked[AT] >= start) & (checked[AT] < end) & (checked[VERDICT] != Verdict.GOOD)
        frame = checked.loc[told, [METER_ID, AT, VERDICT]].reset_index(drop=True)
        self._figures.replace_verdicts(span.meter_ids, start, end, frame)

    def recompute_zones(
        self, spans: Iterable[ZoneSpan], known: Known, now: datetime, rows: int
    ) -> date | None:
        """Days and nights of zones from the kept volumes; the first day whose night changed."""
        together: dict[tuple[date, date], frozenset[str]] = {}
        for span in spans:
            key = span.first, min(span.last, self._city.day_of(now))
            together[key] = together.get(key, frozenset()) | span.zone_ids
        for (first, last), zone_ids in together.items():
            meters = _meters_of(zone_ids, known)
            days = max(1, rows // (24 * max(1, len(meters))))
            begin = first
            while begin <= last:
                end = min(last, begin + timedelta(days=days - 1))
                self._save_zones(meters, known.zones, begin, end, now)
                begin = end + timedelta(days=1)
        return min((first for first, _ in together), default=None)

    def _save_zones(
        self, meters: list[Meter], zones: list[Zone], first: date, last: date, now: datetime
    ) -> None:
        ids = [m.id for m in meters]
        start, end = self._city.day_start(first), self._city.day_start(last + timedelta(days=1))
        hourly = self._volumes.load_hourly(ids, start, end)
        zone_hours = compute_zone_hours(hourly, meters, zones)
        nights = compute_zone_nights(zone_hours, hourly, meters, self._city, zones)
        # A night that is not over has no minimum yet.
        over = nights[DAY] <= pd.Timestamp(self._newest_night(now))
        self._pulse()
        self._figures.save_zone_nights(nights[over])
        daily = self._volumes.load_daily(ids, first, last)
        zone_days = compute_zone_days(daily, meters, self._city, zones)
        self._pulse()
        self._figures.save_zone_days(zone_days)

    def _newest_night(self, now: datetime) -> date:
        """The local day of the newest night window that has passed."""
        today = self._city.day_of(now)
        _, end = self._city.night_bounds(today)
        return today if now >= end else today - timedelta(days=1)


def _of_span(span: Span, known: Known) -> tuple[list[Meter], list[MeterChange]]:
    """The meters of a span, and the changes of these."""
    mine = frozenset(span.meter_ids)
    return [known.meters[m] for m in span.meter_ids], [
        change for change in known.changes if change.meter_id in mine
    ]


def _contested(
    conflicts: pd.DataFrame,
    readings: pd.DataFrame,
    decided: frozenset[tuple[str, datetime, str, float]],
) -> pd.DataFrame:
    """The registers and flows (meter_id, at, quantity) that nobody decided between two values of.

    A register that people overruled is settled whatever was sent.
    """
    judged = conflicts["quantity"].isin([REGISTER_M3, FLOW_M3_H])
    offered = conflicts[judged & conflicts[METER_ID].isin(readings[METER_ID].unique())]
    overruled = readings[(readings[QUALITY].to_numpy() & Quality.OVERRULED) != 0]
    settled = set(zip(overruled[METER_ID], overruled[AT], strict=True))
    stands = [
        (row.quantity != REGISTER_M3 or (row.meter_id, row.at) not in settled)
        and (row.meter_id, row.at, row.quantity, row.offered) not in decided
        for row in offered.itertuples()
    ]
    return offered.loc[stands, [METER_ID, AT, "quantity"]]


def _meters_of(zone_ids: frozenset[str], known: Known) -> list[Meter]:
    """Inlets and outlets of these zones and of those around them, and all users inside."""
    around = zones_around(zone_ids, known.zones)
    inside = zones_inside(around, known.zones)
    return [
        m
        for m in known.meters.values()
        if m.zone_id in around or (m.zone_id in inside and m.role is MeterRole.CUSTOMER)
    ]


def _local_days(at: pd.Series, city: CityTime) -> pd.Series:
    """The local day (datetime64[s] without zone) of each instant."""
    local = at.dt.tz_convert(city.zone).dt.tz_localize(None)
    return local.dt.normalize().astype("datetime64[s]")


def _days_heard(
    checked: pd.DataFrame, meter_ids: Sequence[str], edits: Edits, city: CityTime
) -> pd.DataFrame:
    """First and last local day of which something was read here, or ever said by people.

    Index meter_id. What a withdrawn edit once reached is computed again, and is missing then.
    """
    ends = checked.groupby(METER_ID)[AT].agg(["min", "max"])
    read = pd.DataFrame(
        {"first": _local_days(ends["min"], city), "last": _local_days(ends["max"], city)},
        index=ends.index,
    )
    edited = [meter_id for meter_id in meter_ids if meter_id in edits]
    if not edited:
        return read
    said = pd.DataFrame(
        [days_edited(edits[meter_id], city) for meter_id in edited],
        index=pd.Index(edited, dtype=read.index.dtype, name=METER_ID),
        columns=["first", "last"],
    )
    said = said.apply(pd.to_datetime).astype("datetime64[s]")
    both = pd.concat([read, said]) if len(read) else said
    return both.groupby(level=METER_ID).agg({"first": "min", "last": "max"})


def _within(frame: pd.DataFrame, days: pd.Series, heard: pd.DataFrame) -> pd.DataFrame:
    """Rows between a meter's first and last reading: nothing is said of days before it existed."""
    first = frame[METER_ID].map(heard["first"])
    last = frame[METER_ID].map(heard["last"])
    return frame[(days >= first) & (days <= last)].reset_index(drop=True)
