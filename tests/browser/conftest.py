"""A server with the dashboard over a real registry, and a browser that notes what it does.

Every part is real (registry, volumes, tallies, accounts, alerts, API, pages); only what stands in
them is made up here.
"""

import math
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
import uvicorn
from playwright.sync_api import sync_playwright
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session

from alerts.service import AlertService
from analytics.quality import DELAYS
from api.app import create_app
from api.settings import ApiSettings
from registry.accounts import Accounts
from registry.edits import Edits
from registry.meter_changes import MeterChanges
from storage.queries import IngestQueries, ReadingQueries
from storage.readings import open_readings, open_volumes
from storage.registry import models
from storage.registry.accounts import AccountStore
from storage.registry.alerts import AlertStore
from storage.registry.edit_queries import EditQueries
from storage.registry.edits import EditStore
from storage.registry.engine import migrate, open_registry
from storage.registry.figures import FigureStore
from storage.registry.jobs import JobStore
from storage.registry.queries import RegistryQueries
from water.city_time import CityTime, days_between
from water.clock import ScaledClock
from water.columns import DAILY, HOURLY
from water.edits import EditKind
from water.findings import Evaluation, Finding, FindingKind, SubjectKind
from water.loading import Refused, Tally
from water.meters import MeterEvent
from water.readings import Reading

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
WIDE = {"width": 1440, "height": 900}
PASSWORD = "correct horse battery"
SECTORS = ("market", "textile", "printing", "food", "hotel", "school", "hospital", "office")
NAMES = (
    "国际商贸城一区", "恒达纺织", "华盛印染", "丰味食品",
    "江滨大酒店", "实验小学", "中心医院", "行政服务中心",
)  # fmt: skip
RATES = {"U003": 1.09, "U007": 0.82, "U011": 0.80}
"""Use so far against the plan of the whole year: one over, two heading over; others lie below."""


def _hours(meter_id):
    """Sixty days of hours, a calm wave; six hours of each four days are estimated."""
    first = CITY.day_start(TODAY - timedelta(days=60))
    for i in range(60 * 24 + 8):
        at = first + timedelta(hours=i)
        volume = 5 + 4 * math.sin((at.hour - 1) / 24 * math.tau)
        yield meter_id, at, volume, *((0.0, 1.0, 0.0) if i % 97 < 6 else (1.0, 0.0, 0.0))


def _days(meter_id, use_m3):
    """The year's days until yesterday, together `use_m3`."""
    days = days_between(date(TODAY.year, 1, 1), TODAY - timedelta(days=1))
    for day in days:
        wave = 1 + 0.2 * math.sin(day.toordinal() / 3)
        yield meter_id, day, use_m3 / len(days) * wave, 1.5, 0.97, 0.03, 0.0


def _seed_volumes(volumes):
    hourly = pd.DataFrame(list(_hours("M-U003")), columns=list(HOURLY))
    daily = pd.DataFrame(list(_days("M-U003", 25_887)), columns=list(DAILY))
    volumes.save(
        hourly.astype({"start": "datetime64[s, UTC]"}), daily.astype({"day": "datetime64[s]"})
    )


def _seed_intake(readings):
    """One supplier all is well with, one that sends garbage."""
    at = int(NOW.timestamp())
    details = {"negative_register": "register_m3 -4.0", "unknown_meter": "400 days",
               "future": "93560821 s ahead"}  # fmt: skip
    refused = list(details) * 30
    with readings.load() as load:
        load.add_readings([Reading("M-U003", at, at, value) for value in (120.0, 12.0)])
        load.add_readings([Reading("M-U003", at - 3_563, at - 3_500, 1195.0)])
        load.add_tallies({
            Tally("water-group", "messages", "received"): 182_400,
            Tally("water-group", "messages", "decoded"): 182_400,
            Tally("water-group", "readings", "decoded"): 4_377_600,
            Tally("water-group", "readings", "stored"): 4_377_600,
            Tally("remote-meters", "messages", "received"): 9_310,
            Tally("remote-meters", "messages", "decoded"): 8_898,
            Tally("remote-meters", "messages", "undecodable", "malformed"): 412,
            Tally("remote-meters", "readings", "decoded"): 8_898,
            Tally("remote-meters", "readings", "stored"): 8_808,
            **{Tally("remote-meters", "readings", "quarantined", reason): 30 for reason in refused},
        })  # fmt: skip
        load.add_refused([
            Refused("remote-meters", reason, details[reason], "jieshui", f"R{i:03d}",
                    at - i * 900, at - i * 900 + 60, 1, i * 100, 0)
            for i, reason in enumerate(refused)
        ])  # fmt: skip


def _seed_days(figures):
    """A fortnight of arrivals of three meters, and what was counted of their supplier."""
    days = days_between(TODAY - timedelta(days=14), TODAY - timedelta(days=1))
    rows = [
        (f"M-{user}", day, 96, 96 - number * 2, 95 - number * 2, 2.0, 6.0, 41.0, 7_300.0)
        for number, user in enumerate(("U003", "U007", "U011"))
        for day in days
    ]
    names = ["meter_id", "day", "expected", "received", "valid", *DELAYS]
    figures.save_arrivals(pd.DataFrame(rows, columns=names).astype({"day": "datetime64[s]"}))
    for sent, day in enumerate(days, 1):
        figures.save_tallies(
            day,
            {
                Tally("water-group", "messages", "received"): 2_000 * sent,
                Tally("water-group", "messages", "undecodable", "malformed"): 9 * sent,
                Tally("water-group", "readings", "decoded"): 1_990 * sent,
                Tally("water-group", "readings", "duplicate"): 31 * sent,
                Tally("water-group", "readings", "quarantined", "future"): 4 * sent,
            },
        )


def _seed_edit(engine):
    """A correction that waits for its second person, and a meter change that contradicts none."""
    Edits(EditStore(engine, CLOCK), CLOCK).propose(
        "li", "M-U007", NOW, EditKind.CORRECTION, {"register_m3": 12.5},
        sent={"register_m3": 99.0}, reason="表盘起雾，读错", evidence="照片 20260915-17",
    )  # fmt: skip
    MeterChanges(EditStore(engine, CLOCK), CLOCK).take(
        "ingest",
        [
            MeterEvent(1, "water-group", 0, "M-U007", int(NOW.timestamp()) - 86_400 * i, 900.0, i)
            for i in (9, 20)
        ],
    )


def _seed_accounts(accounts):
    """Accounts of bureau, group and a user, and one with its one-time password; gives that."""
    for login, name, role, scope in (
        ("bureau", "王工", "bureau", None),
        ("group", "赵工", "utility", None),
        ("user", "华盛印染", "user", "U003"),
    ):
        once = accounts.create_account(login, name, role, scope, "test")
        accounts.change_password(login, once, PASSWORD)
    return accounts.create_account("fresh", "新同事", "bureau", None, "test")


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
                                   annual_volume_m3=plan, contact="张三"))  # fmt: skip
        session.flush()
        session.add(models.PlanRow(
            user_id=user_id, year=2026, version=1, months_m3=[plan / 12] * 12,
            issued_by="节水办", issued_on=date(2026, 1, 20), reason="",
        ))  # fmt: skip
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


def _seed_bills(session):
    session.flush()
    for month, billed in ((7, 3_300.0), (8, 2_000.0)):
        first, last = date(2026, month, 1), date(2026, month, 31)
        bill = models.BillingReadRow(meter_id="M-U003", first=first, last=last, note="")
        bill.billed_m3 = billed
        session.add(bill)


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
        session.add(models.ZoneNightRow(  # its users have not all reported yet
            zone_id=f"Z{z}", day=TODAY, start=CITY.day_start(TODAY) + timedelta(hours=3),
            minimum_night_flow_m3_h=99.9, measured_share=0.4,
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


@dataclass(frozen=True)
class Service:
    """Where the service is, the one-time password of the account "fresh", and ingest's jobs."""

    origin: str
    once: str
    jobs: JobStore


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """The API and the pages over seeded stores, in a thread of its own."""
    folder = tmp_path_factory.mktemp("service")
    engine = open_registry(f"sqlite:///{folder}/registry.sqlite")
    migrate(engine)
    with Session(engine) as session:
        session.add(models.SupplierRow(id="water-group", name="市水务集团"))
        session.flush()
        _seed_zones(session)
        session.flush()
        _seed_users(session)
        _seed_rates(session)
        _seed_bills(session)
        session.commit()
    readings = open_readings(folder / "readings", CITY, CLOCK)
    volumes = open_volumes(folder / "volumes", CITY, CLOCK)
    _seed_volumes(volumes)
    _seed_intake(readings)
    _seed_edit(engine)
    accounts = Accounts(AccountStore(engine), CLOCK)
    once = _seed_accounts(accounts)
    _seed_days(FigureStore(engine))
    queries = RegistryQueries(engine, CLOCK, CITY)
    alerts = AlertService(AlertStore(engine), CLOCK)
    _find(alerts)
    app = create_app(
        ApiSettings(secret="s" * 40, attempts_per_login=1_000, attempts_per_address=1_000),
        registry=queries,
        readings=ReadingQueries(readings, volumes, queries.visible_meters),
        ingest=IngestQueries(readings),
        alerts=alerts,
        edits=EditQueries(engine),
        editing=Edits(EditStore(engine, CLOCK), CLOCK),
        changes=MeterChanges(EditStore(engine, CLOCK), CLOCK),
        jobs=JobStore(engine, CLOCK),
        accounts=accounts,
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
        yield Service(f"http://127.0.0.1:{port}", once, JobStore(engine, CLOCK))
        server.should_exit = True
        thread.join(timeout=10)
    readings.close()
    volumes.close()
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
        page.on(
            "response", lambda r: r.status >= 400 and self.complaints.append(f"{r.status} {r.url}")
        )
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
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser, service):
    """Opens tabs for strangers, each with cookies of its own; all end with the test."""
    contexts = []

    def open_one():
        contexts.append(_context(browser))
        return Visitor(contexts[-1].new_page(), service.origin)

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def bureau_context(browser, service):
    """The cookies and the cache of somebody of the bureau who is logged in."""
    context = _context(browser)
    visitor = Visitor(context.new_page(), service.origin)
    visitor.log_in()
    visitor.wait()
    visitor.page.close()
    yield context
    context.close()


@pytest.fixture
def bureau(bureau_context, service):
    """A tab of somebody of the bureau, in Chinese."""
    page = bureau_context.new_page()
    bureau_context.clear_cookies(name="language")
    yield Visitor(page, service.origin)
    page.close()


def _context(browser):
    # Far from the city, so that a time in the browser's own zone is seen to be wrong.
    return browser.new_context(viewport=WIDE, timezone_id="America/New_York")
