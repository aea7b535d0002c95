"""What the API needs of the outside. Every query takes a Viewer and shows only the viewer's rows.

Rows are plain dictionaries with the column names of the database or of water.columns; instants are
aware datetimes (UTC), days are dates. `Page.next` is None on the last page, else the cursor of the
next one; cursors are opaque to callers, keyed on the sort key (never an offset). A cursor that the
adapter did not give out raises ValueError.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import date, datetime
from typing import Any, Protocol

import pandas as pd

from water.edits import Decision, EditKind
from water.meters import MeterChange
from water.pages import Page, Row
from water.viewer import Viewer


class RegistryQueries(Protocol):
    """Lists of what is registered and what was computed of it, within the viewer's sight."""

    def users(
        self,
        viewer: Viewer,
        *,
        text: str = "",
        sector: str = "",
        level: str = "",
        year: int | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Users by id with their plan status of `year` joined on (null fields where there is none).

        `year` None is the city's present year; every row says its `year`. `level` = "any" keeps
        users with a ladder level, "over" those with used > plan; or one level.
        """
        ...

    def user(self, viewer: Viewer, user_id: str) -> Row | None:
        """A user with `meters`, `plans` and `plan_status`, each a list of rows.

        `plans` holds every version (year, version, months_m3, year_m3, issued_by, issued_on,
        reason), newest first; `plan_status` one row a year, newest first.
        """
        ...

    def zones(self, viewer: Viewer, *, cursor: str | None = None, limit: int = 100) -> Page:
        """Zones by id with their latest night and the gross loss share of their last 30 days.

        The night: night_day, minimum_night_flow_m3_h, night_use_m3_h, net_night_flow_m3_h,
        baseline_m3_h. The days: inflow_m3, large_use_m3 and gross_loss_share = (inflow − large
        use) / inflow, an upper bound of loss, since small users are not metered here, over the
        gross_loss_days of them that miss nothing.
        """
        ...

    def zone(self, viewer: Viewer, zone_id: str) -> Row | None: ...

    def zone_days(self, viewer: Viewer, zone_id: str, first: date, last: date) -> list[Row]: ...

    def zone_nights(self, viewer: Viewer, zone_id: str, first: date, last: date) -> list[Row]: ...

    def meters(
        self,
        viewer: Viewer,
        *,
        text: str = "",
        role: str = "",
        user_id: str = "",
        zone_id: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page: ...

    def meter(self, viewer: Viewer, meter_id: str) -> Row | None:
        """A meter with `devices`, `changes` and its recent `verdicts`."""
        ...

    def alerts(
        self,
        viewer: Viewer,
        *,
        state: str = "open",
        rule: str = "",
        subject_id: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Alerts, newest first; `state` "open", "all" or one state.

        Suppliers see those of their meters and of their own id, users those of their own user
        and meters.
        """
        ...

    def alert(self, viewer: Viewer, alert_id: int) -> Row | None:
        """An alert with `events` and, for those who see all, `notices`."""
        ...

    def city_rates(self, viewer: Viewer) -> list[Row]:
        """Loss rates of the city by period; none for suppliers and users."""
        ...

    def home(self, viewer: Viewer) -> Row:
        """The figures of the first page.

        users, over (used > plan of the year), at_risk (a ladder level, not over); plan_used_m3
        and plan_to_date_m3 of all users with a plan; alerts: open ones by severity; day with
        day_supply_m3 and day_large_use_m3, month (its first day) with month_supply_m3 and
        month_large_use_m3: the newest whole day that has figures and the newest whole month
        before it; arrival_day with arrival_rate (received / expected); city_rates: newest row of
        each kind of period (year, month, rolling 12 months); as_of (when the newest of these were
        computed). Figures are of what the viewer sees; null where there is nothing.
        """
        ...

    def supplier_names(self, viewer: Viewer) -> Mapping[str, str]:
        """Names of suppliers by id: all; or a supplier's own, or those of a user's meters."""
        ...

    def supplier_days(
        self, viewer: Viewer, supplier_id: str, first: date, last: date
    ) -> Row | None:
        """A supplier (id, name) with what is kept of its data on the local days first to last.

        `meters` lists its water.meters.Meter; `arrived` sums expected, received and valid
        readings; `least_delays` has the least delay of each meter that tells one, seconds;
        `delays` is a frame with a row a meter and day (received, least_delay_s, median_delay_s,
        p95_delay_s, most_delay_s), of very many a sample; `counts` maps water.loading.Tally to
        what ingest counted in these days, beginning after the day `counted_from`, None = since
        the beginning; `counted` what it had counted in all by the last evaluation of the day
        `counted_until`, the newest until `last` of which counts are kept, None = of none.
        """
        ...

    def visible_meters(self, viewer: Viewer) -> frozenset[str] | None:
        """Ids of the meters a viewer may see; None = all."""
        ...


class ReadingQueries(Protocol):
    """Readings and volumes within the viewer's sight; KeyError for a meter out of it."""

    def newest(self, viewer: Viewer, meter_ids: Sequence[str] | None = None) -> pd.DataFrame: ...

    def readings(
        self,
        viewer: Viewer,
        meter_id: str,
        start: datetime,
        end: datetime,
        *,
        after: datetime | None = None,
        limit: int = 1000,
    ) -> pd.DataFrame:
        """Readings of one meter in time order (columns READINGS)."""
        ...

    def series(
        self,
        viewer: Viewer,
        meter_id: str,
        quantity: str,
        start: datetime,
        end: datetime,
        points: int,
    ) -> pd.DataFrame:
        """A quantity thinned to about `points` rows (columns at, value), extremes kept."""
        ...

    def hourly(
        self, viewer: Viewer, meter_ids: Sequence[str], start: datetime, end: datetime
    ) -> pd.DataFrame: ...

    def daily(
        self, viewer: Viewer, meter_ids: Sequence[str], first: date, last: date
    ) -> pd.DataFrame: ...

    def conflicts(self, viewer: Viewer, start: datetime, end: datetime) -> pd.DataFrame:
        """Values that were offered where another one stood, start <= at < end.

        Columns meter_id, at, quantity, kept, offered, received_at (when it was offered); one row
        a meter, instant, quantity and offered value, of the meters in sight.
        """
        ...


class IngestQueries(Protocol):
    """What ingest counted and holds back."""

    def sums(self, viewer: Viewer) -> list[Row]:
        """One row a supplier: its `messages`, `readings`, `reasons` and whether all balances.

        `messages` and `readings` hold the terms of water.accounting and `balanced`; `reasons`
        lists ledger, account, reason, count.
        """
        ...

    def quarantine(
        self,
        viewer: Viewer,
        *,
        supplier: str = "",
        reason: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Refused readings, newest first: id and the fields of a refusal, instants aware."""
        ...


class Ticket(Protocol):
    """What is held for a message that was brought to the door."""

    @property
    def receipt(self) -> str:
        """The id of the message, as in receipts."""
        ...

    @property
    def durable(self) -> Future[None]:
        """Done when the message may be acknowledged; a DoorClosedError when it may not."""
        ...

    @property
    def loaded(self) -> "Future[dict[str, Any]]":
        """What became of it, an item of a receipt; to be cancelled when nobody waits any more."""
        ...


class Door(Protocol):
    """Where pushed readings are taken; wired to the ingest room."""

    @property
    def payload_bytes(self) -> int:
        """The longest message that is taken."""
        ...

    def offer(
        self, supplier: str, dialect: str, path: str, payload: bytes, *, follow: bool = False
    ) -> Ticket:
        """Bring a message; `follow` = `loaded` will be asked for.

        Raises KeyError (no such supplier), DoorClosedError or DoorCrowdedError of water.doors.
        """
        ...


class AlertActions(Protocol):
    """What people do to alerts; wired to the alerts room."""

    def acknowledge(self, alert_id: int, actor: str, reason: str) -> None:
        """Raises KeyError when there is none, ValueError when it can't be acknowledged."""
        ...


class EditQueries(Protocol):
    """Edits, decided conflicts and suppliers' meter changes within the viewer's sight."""

    def edits(
        self,
        viewer: Viewer,
        *,
        meter_id: str = "",
        state: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Edits, newest first; "" = any."""
        ...

    def edit(self, viewer: Viewer, edit_id: int) -> Row | None: ...

    def decisions(self, viewer: Viewer, start: datetime, end: datetime) -> list[Row]:
        """What holds of conflicts with start <= at < end.

        Rows meter_id, at, quantity, offered, decision, reason, edit_id, decided_by, decided_at.
        """
        ...

    def billing_reads(self, viewer: Viewer, first: date, last: date) -> list[Row]:
        """Periods billed that touch the days: meter_id, first, last, billed_m3, note."""
        ...

    def meter_events(
        self, viewer: Viewer, *, state: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page:
        """Meter changes that suppliers sent, newest first; "" = of any state."""
        ...


class Editing(Protocol):
    """What people do to readings; wired to the registry room, which holds the rules.

    NotFoundError: no such meter or edit; RefusedEditError: it can't be done, in a sentence.
    """

    def propose(
        self,
        actor: str,
        meter_id: str,
        at: datetime,
        kind: EditKind,
        values: Mapping[str, float | None],
        *,
        sent: Mapping[str, float | None] | None,
        reason: str,
        evidence: str = "",
    ) -> int:
        """Make an edit; its id. `sent` is what the meter sent of that instant, None = nothing."""
        ...

    def approve(self, actor: str, edit_id: int, *, sent: Mapping[str, float | None] | None) -> None:
        """Let an edit count; `sent` as of `propose`."""
        ...

    def withdraw(self, actor: str, edit_id: int, reason: str) -> None: ...
    def decide(
        self, actor: str, conflict: Mapping[str, Any], decision: Decision, reason: str
    ) -> None:
        """Decide about a conflict that there is: meter_id, at, quantity, kept, offered."""
        ...


class MeterChanging(Protocol):
    """What people say of meter changes; errors as of Editing."""

    def enter(self, actor: str, change: MeterChange) -> bool:
        """Register one; False when it stands there already."""
        ...

    def decide(self, actor: str, event_id: int, decision: Decision, reason: str) -> None: ...


class Jobs(Protocol):
    """Asking another process for work."""

    def ask(self, kind: str, arguments: Mapping[str, object], asked_by: str) -> int: ...
    def job(self, job_id: int) -> Row | None: ...

    def jobs(self, kind: str, limit: int) -> list[Row]:
        """The newest jobs of a kind, newest first."""
        ...


class Accounts(Protocol):
    """People and keys; wired to the registry room, which holds the rules (argon2, lengths)."""

    def check_password(self, login: str, password: str) -> Row | None:
        """The account when login and password fit and it is not disabled, else None."""
        ...

    def change_password(self, login: str, old: str, new: str) -> None:
        """Raises ValueError with a sentence when refused; ends the account's other sessions."""
        ...

    def end_sessions(self, login: str) -> None:
        """End every session of an account."""
        ...

    def account(self, login: str) -> Row | None: ...
    def accounts(self) -> list[Row]: ...

    def create_account(
        self, login: str, name: str, role: str, scope: str | None, actor: str
    ) -> str:
        """Returns a one-time password that must be changed at the first log-in.

        Raises ValueError with a sentence when the login is taken or anything doesn't fit.
        """
        ...

    def reset_password(self, login: str, actor: str) -> str:
        """Returns a new one-time password; ends the sessions. ValueError: no such account."""
        ...

    def disable_account(self, login: str, actor: str) -> None:
        """Ends the sessions. ValueError: no such account, or the last administrator."""
        ...

    def enable_account(self, login: str, actor: str) -> None:
        """Lets a disabled account in again. ValueError: no such account."""
        ...

    def viewer_of_key(self, key: str) -> Viewer | None:
        """The viewer of an API key that is not revoked, else None."""
        ...

    def keys(self) -> list[Row]: ...

    def create_key(self, name: str, role: str, scope: str | None, actor: str) -> tuple[str, str]:
        """(key id, the key itself, shown this once); ValueError when anything doesn't fit."""
        ...

    def revoke_key(self, key_id: str, actor: str) -> None:
        """Raises KeyError when there is no such key."""
        ...
