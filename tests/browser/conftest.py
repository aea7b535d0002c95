"""A server with the dashboard over a real registry, and a browser that notes what it does.

Stand-ins, named as such: `StandInReadings` (volumes of a made-up week), `StandInIngest` (sums and
quarantine) and `StandInAccounts` (log-in without argon2). Registry, alerts, API and pages are real.
"""

import math
import shutil
import socket
import subprocess
import threading
import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session

from alerts.service import AlertService
from api.app import create_app
from api.ports import Page
from api.settings import ApiSettings
from storage.registry import models
from storage.registry.alerts import AlertStore
from storage.registry.engine import migrate, open_registry
from storage.registry.jobs import JobStore
from storage.registry.queries import RegistryQueries
from water.city_time import CityTime, days_between
from water.clock import ScaledClock
from water.columns import DAILY, HOURLY
from water.findings import Evaluation, Finding, FindingKind, SubjectKind

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
CITY = CityTime(ZoneInfo("Asia/Shanghai"))
NOW = datetime(2026, 9, 15, 0, 30, tzinfo=UTC)
CLOCK = ScaledClock(NOW, NOW, 0)
TODAY = date(2026, 9, 15)
ELAPSED = 257 / 365
PASSWORD = "correct horse battery"
SECTORS = ("market", "textile", "printing", "food", "hotel", "school", "hospital", "office")
NAMES = ("国际商贸城一区", "恒达纺织", "华盛印染", "丰味食品", "江滨大酒店", "实验小学", "中心医院", "行政服务中心")  # fmt: skip
RATES = {"U003": 1.09, "U007": 0.82, "U011": 0.80}
"""Use so far against the plan of the whole year: one over, two heading over; others lie below."""


class StandInReadings:
    """Stands in for storage.readings: a day's curve for every meter, some hours estimated."""

    def daily(self, viewer, meter_ids, first, last):
        rows = [
            (meter, pd.Timestamp(day), 120 + 25 * math.sin(day.toordinal() / 3), 1.5, 0.97, 0.03, 0)
            for meter in meter_ids
            for day in days_between(first, last)
        ]
        return pd.DataFrame(rows, columns=list(DAILY))

    def hourly(self, viewer, meter_ids, start, end):
        first = start.replace(minute=0)
        hours = [first + timedelta(hours=i) for i in range(int((end - first).total_seconds()) // 3600)]
        rows = [
            (meter, pd.Timestamp(at), max(0.4, 5 + 4 * math.sin((at.hour - 1) / 24 * 6.283)),
             *((0, 1, 0) if i % 97 in range(6) else (1, 0, 0)))
            for meter in meter_ids
            for i, at in enumerate(hours)
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(HOURLY))


class StandInIngest:
    """Stands in for the ingest queries: two suppliers, one of which sends garbage."""

    def sums(self, viewer):
        def row(supplier, received, undecodable, quarantined):
            decoded = (received - undecodable) * 24
            return {
                "supplier": supplier,
                "balanced": True,
                "messages": {
                    "received": received, "decoded": received - undecodable,
                    "undecodable": undecodable, "set_aside": 0, "waiting": 0, "balanced": True,
                },
                "readings": {
                    "decoded": decoded, "stored": decoded - quarantined, "duplicate": 0,
                    "conflict": 0, "quarantined": quarantined, "waiting": 0, "balanced": True,
                },
                "reasons": [
                    {"ledger": "messages", "account": "undecodable", "reason": "malformed", "count": undecodable},
                    {"ledger": "readings", "account": "quarantined", "reason": "future", "count": quarantined},
                ],
            }  # fmt: skip

        return [row("water-group", 182_400, 0, 3), row("remote-meters", 9_310, 412, 268)]

    def quarantine(self, viewer, *, supplier="", reason="", cursor=None, limit=100):
        rows = [
            {
                "id": i, "supplier": "remote-meters", "reason": kind, "detail": "register_m3 = -4.0",
                "dialect": "jieshui", "address": f"M{i:03d}", "at": NOW - timedelta(hours=i),
                "received_at": NOW - timedelta(hours=i), "segment": 1, "offset": i * 100, "part": 0,
            }
            for i, kind in enumerate(["negative_register", "unknown_meter", "future"] * 4)
            if reason in ("", kind)
        ]  # fmt: skip
        return Page(rows[:limit])


class StandInAccounts:
    """Stands in for registry.accounts: a bureau's account and one with a one-time password."""

    def __init__(self):
        self._rows = {
            login: {
                "login": login, "name": name, "role": role, "scope": scope,
                "must_change": must_change, "disabled": False, "session_epoch": 0,
                "password": PASSWORD, "created_at": NOW,
            }
            for login, name, role, scope, must_change in (
                ("bureau", "王工", "bureau", None, False),
                ("fresh", "新同事", "bureau", None, True),
                ("user", "华盛印染", "user", "U003", False),
            )
        }  # fmt: skip

    def check_password(self, login, password):
        row = self._rows.get(login)
        return row if row and row["password"] == password else None

    def change_password(self, login, old, new):
        row = self._rows[login]
        if row["password"] != old or len(new) < 12:
            raise ValueError("the old password is wrong or the new one too short")
        row.update(password=new, must_change=False, session_epoch=row["session_epoch"] + 1)

    def account(self, login):
        return self._rows.get(login)


def _users():
    for i in range(1, 65):
        user_id = f"U{i:03d}"
        kind = (i - 1) % len(SECTORS)
        plan = 20_000.0 + 1_250 * i
        over = RATES.get(user_id, ELAPSED * (0.75 + (i % 18) / 100))
        projected = max(over, over / ELAPSED)
        level = "warning" if over > 1 else "notice" if projected > 1 else ""
        yield user_id, f"{NAMES[kind]}({i:02d})", SECTORS[kind], plan, over, projected, level


def _seed_users(session):
    for user_id, name, sector, plan, over, projected, level in _users():
        session.add(models.UserRow(id=user_id, name=name, sector=sector, township="稠城街道",
                                   credit_code="91330782MA2XXXXX0" + user_id[-1],
                                   annual_volume_m3=plan, contact="张三"))  # fmt: skip
        session.flush()
        session.add(models.PlanRow(user_id=user_id, year=2026, version=1, months_m3=[plan / 12] * 12,
                                   issued_by="节水办", issued_on=date(2026, 1, 20), reason=""))  # fmt: skip
        session.add(models.PlanStatusRow(
            user_id=user_id, year=2026, as_of=NOW, plan_m3=plan, plan_to_date_m3=plan * ELAPSED,
            used_m3=plan * over, use_rate=over / ELAPSED, projected_m3=plan * projected,
            projected_rate=projected, level=level,
            measured_share=0.97, estimated_share=0.02, missing_share=0.01,
        ))  # fmt: skip
        session.add(models.MeterRow(id=f"M-{user_id}", supplier_id="water-group", role="customer",
                                    serial=f"SN{user_id}", user_id=user_id, zone_id="Z1",
                                    modulus_m3=1e6, q3_m3_h=25.0, interval_s=900,
                                    in_service_from=NOW - timedelta(days=400)))  # fmt: skip


def _seed_zones(session):
    for z, name in enumerate(("稠江片区", "北苑片区", "城西片区", "福田片区"), start=1):
        session.add(models.ZoneRow(id=f"Z{z}", name=name, mains_km=18.4 * z, connections=1_450 * z,
                                   pressure_mpa=0.32))  # fmt: skip
        session.flush()
        session.add(models.MeterRow(id=f"M-Z{z}", supplier_id="water-group", role="zone_inlet",
                                    serial="", zone_id=f"Z{z}", interval_s=900))  # fmt: skip
        for day in days_between(TODAY - timedelta(days=100), TODAY - timedelta(days=1)):
            wave = math.sin(day.toordinal() / 3.5)
            burst = 14 if z == 2 and day > TODAY - timedelta(days=16) else 0
            session.add(models.ZoneDayRow(
                zone_id=f"Z{z}", day=day, inflow_m3=2_900 * z + 160 * wave + burst * 24,
                large_use_m3=2_250 * z + 140 * wave,
                measured_share=0.98, estimated_share=0.01, missing_share=0.01,
            ))  # fmt: skip
            session.add(models.ZoneNightRow(
                zone_id=f"Z{z}", day=day, start=CITY.day_start(day) + timedelta(hours=3),
                minimum_night_flow_m3_h=31 * z + 2 * wave + burst, night_use_m3_h=9.0 * z,
                net_night_flow_m3_h=22 * z + 2 * wave + burst, baseline_m3_h=22.4 * z,
                measured_share=1.0,
            ))  # fmt: skip


def _seed_rates(session):
    for i in range(12):
        month = date(2025 + (8 + i) // 12, (8 + i) % 12 + 1, 1)
        session.add(_rate(f"{month:%Y-%m}", 0.112 + 0.008 * math.sin(i), None))
    session.add(_rate("2026", 0.1141, 0.0702))
    session.add(_rate("r12:2026-08", 0.1129, 0.0687))


def _rate(period, gross, corrected):
    return models.CityRateRow(
        period=period, as_of=NOW, system_input_m3=1e6, authorised_m3=1e6 * (1 - gross),
        losses_m3=1e6 * gross, gross_rate=gross, rate=corrected, corrections={}, provisional=True,
    )  # fmt: skip


def _findings():
    plan = {"plan_m3": 23_750.0}
    shares = {"measured_share": 0.97, "estimated_share": 0.02, "missing_share": 0.01}
    yield Finding(
        FindingKind.OVER_PLAN, SubjectKind.USER, "U003", NOW, period="2026", level="warning",
        figures=plan | {"used_m3": 25_887.5, "use_rate": 1.548}, thresholds={"use_rate": 1.0},
        shares=shares, readings_from=NOW - timedelta(days=257), readings_to=NOW,
    )  # fmt: skip
    for user_id in ("U007", "U011"):
        yield Finding(
            FindingKind.HEADING_OVER_PLAN, SubjectKind.USER, user_id, NOW, period="2026",
            level="notice", figures=plan | {"projected_rate": 1.16}, thresholds={}, shares=shares,
        )  # fmt: skip
    yield Finding(
        FindingKind.NIGHT_FLOW_RISE, SubjectKind.ZONE, "Z2", NOW, since=NOW - timedelta(days=15),
        figures={"net_night_flow_m3_h": 58.2, "baseline_m3_h": 44.8, "rise_m3_h": 13.4},
        thresholds={"rise_m3_h": 12.1}, shares=shares,
    )  # fmt: skip
    yield Finding(
        FindingKind.STOPPED_METER, SubjectKind.METER, "M-U020", NOW, since=NOW - timedelta(days=6),
        figures={"register_m3": 48_112.0}, thresholds={"stopped_h": 48.0},
    )  # fmt: skip


def _find(service):
    for finding in _findings():
        judged = frozenset({(finding.subject_id, finding.period)})
        for at in (NOW - timedelta(days=3), NOW):
            service.handle(Evaluation(finding.kind, at, judged, (finding,)))


@pytest.fixture(scope="session")
def chromium(missing):
    """The browser's program, with a font for Chinese beside it."""
    if shutil.which(CHROMIUM) is None:
        missing("Chromium is not on this machine (make servers)")
    fonts = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True, check=False)
    if not fonts.stdout.strip():
        missing("no font for Chinese on this machine (make servers)")
    return CHROMIUM


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """The whole service over a seeded registry, as create_app makes it; gives its address."""
    engine = open_registry(f"sqlite:///{tmp_path_factory.mktemp('registry')}/registry.sqlite")
    migrate(engine)
    with Session(engine) as session:
        session.add(models.SupplierRow(id="water-group", name="市水务集团"))
        session.flush()
        _seed_zones(session)
        session.flush()
        _seed_users(session)
        _seed_rates(session)
        session.commit()
    alerts = AlertService(AlertStore(engine), CLOCK)
    _find(alerts)
    app = create_app(
        ApiSettings(secret="s" * 40, attempts_per_login=1_000, attempts_per_address=1_000),
        registry=RegistryQueries(engine, CLOCK, CITY),
        readings=StandInReadings(),
        ingest=StandInIngest(),
        alerts=alerts,
        jobs=JobStore(engine, CLOCK),
        accounts=StandInAccounts(),
        clock=CLOCK,
        city=CITY,
        metrics=CollectorRegistry(),
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="websockets-sansio"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(timeout=10)
    engine.dispose()


class Visitor:
    """A browser tab that keeps what it logged and whom it asked.

    Attributes:
        page: the playwright page.
        complaints: errors of the console and of scripts, answers of 400 and above.
        hosts: the origins of every request.
    """

    def __init__(self, page, origin):
        self.page, self.origin = page, origin
        self.complaints, self.hosts = [], set()
        page.set_default_timeout(10_000)
        page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("response", lambda r: r.status >= 400 and self.complaints.append(f"{r.status} {r.url}"))
        page.on("request", lambda r: self.hosts.add("/".join(r.url.split("/")[:3])))

    def open(self, path):
        """Go to a page and wait until it is drawn."""
        self.page.goto(self.origin + path)
        self.wait()

    def wait(self):
        """Until the page has its heading, which is drawn when its figures are there."""
        self.page.locator("h1, .js-error").first.wait_for()

    def log_in(self, login="bureau", password=PASSWORD):
        """From the log-in to the first page."""
        self.page.goto(f"{self.origin}/log-in")
        self.page.locator("input[name=login]").fill(login)
        self.page.locator("input[name=password]").fill(password)
        self.page.locator("button[type=submit]").click()

    def overflow(self):
        """Pixels by which the page is wider than its window."""
        return self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )


@pytest.fixture(scope="session")
def browser(chromium):
    """One Chromium for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser, service):
    """Opens tabs of a width, each with cookies of its own; all end with the test."""
    contexts = []

    def open_one(width=1440, height=900):
        context = browser.new_context(
            viewport={"width": width, "height": height}, timezone_id="America/New_York"
        )
        contexts.append(context)
        return Visitor(context.new_page(), service)

    yield open_one
    for context in contexts:
        context.close()
