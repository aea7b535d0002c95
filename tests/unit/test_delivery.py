"""Delivery through apprise to a real HTTP server on this machine."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.delivery import Delivery
from alerts.senders import DeliveryError, wait_after
from alerts.service import AlertService
from storage.registry.alerts import AlertStore
from storage.registry.engine import open_registry
from storage.registry.models import Base, NoticeRow, UserRow
from water.findings import Evaluation, Finding, FindingKind, SubjectKind

NOW = datetime(2026, 9, 15, tzinfo=UTC)

pytestmark = pytest.mark.filterwarnings(
    "ignore:.imghdr. is deprecated:DeprecationWarning"  # apprise imports it on Python < 3.13
)


class Clock:
    def __init__(self):
        self.at = NOW

    def now(self):
        return self.at


class Inbox:
    """A web server that keeps what is posted to it and answers with `status`."""

    def __init__(self):
        self.posts = []
        self.status = 200
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if inbox.status == 200:
                    inbox.posts.append((self.path, json.loads(body)))
                self.send_response(inbox.status)
                self.end_headers()

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True)
        self._thread.start()

    def url(self, path):
        return f"json://127.0.0.1:{self._server.server_port}/{path}"

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def inbox():
    inbox = Inbox()
    yield inbox
    inbox.stop()


@pytest.fixture
def engine(tmp_path):
    engine = open_registry(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(UserRow(id="U1", name="义乌纺织", sector="textile"))
    yield engine
    engine.dispose()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def overrun(engine, clock):
    """The quota-overrun alert of user U1 stands."""
    finding = Finding(
        FindingKind.OVER_PLAN,
        SubjectKind.USER,
        "U1",
        NOW,
        period="2026",
        level="formal",
        figures={"used_m3": 11234.5, "use_rate": 1.123},
        thresholds={"plan_m3": 10000.0},
        readings_to=NOW,
    )
    service = AlertService(AlertStore(engine), clock)
    service.handle(Evaluation(FindingKind.OVER_PLAN, NOW, frozenset({("U1", "2026")}), (finding,)))
    return service


def notices(engine):
    with Session(engine, expire_on_commit=False) as session:
        rows = session.scalars(select(NoticeRow).order_by(NoticeRow.id))
        return {row.audience: row for row in rows}


def test_the_overrun_reaches_the_bureau_over_http_with_its_figures(engine, clock, overrun, inbox):
    delivery = Delivery(AlertStore(engine), {"bureau": [inbox.url("bureau")]}, clock)
    assert delivery.deliver_due() == 1
    ((path, post),) = inbox.posts
    assert path == "/bureau"
    assert post["title"] == "【橙色警示】超计划用水：义乌纺织（U1）2026"
    assert "累计用水量 used_m3: 11234.50 m³" in post["message"]
    assert "计划用水量 plan_m3: 10000 m³" in post["message"]
    assert "112.3 %" in post["message"]
    assert post["type"] == "warning"
    sent = notices(engine)["bureau"]
    assert (sent.state, sent.sent_at, sent.attempts) == ("sent", NOW, 1)


def test_an_audience_without_an_address_has_its_notice_kept(engine, clock, overrun, inbox):
    Delivery(AlertStore(engine), {"bureau": [inbox.url("bureau")]}, clock).deliver_due()
    assert notices(engine)["user:U1"].state == "kept"


def test_an_address_by_id_goes_before_the_one_for_all(engine, clock, overrun, inbox):
    urls = {"user": [inbox.url("all")], "user:U1": [inbox.url("own")]}
    Delivery(AlertStore(engine), urls, clock).deliver_due()
    assert [path for path, _ in inbox.posts] == ["/own"]


def test_an_address_by_id_is_sent_no_other_ones_notice(engine, clock, overrun, inbox):
    urls = {"user:U2": [inbox.url("other")], "supplier:U1": [inbox.url("supplier")]}
    assert Delivery(AlertStore(engine), urls, clock).deliver_due() == 0
    assert inbox.posts == []
    assert notices(engine)["user:U1"].state == "kept"


def test_the_desk_is_sent_the_notices_of_those_without_an_address(engine, clock, overrun, inbox):
    urls = {"user": [inbox.url("desk")], "user:U2": [inbox.url("other")]}
    Delivery(AlertStore(engine), urls, clock).deliver_due()
    ((path, post),) = inbox.posts
    assert (path, "U1" in post["title"]) == ("/desk", True)


def test_who_is_named_without_an_address_is_kept_from_the_desk(engine, clock, overrun, inbox):
    urls = {"user": [inbox.url("desk")], "user:U1": []}
    Delivery(AlertStore(engine), urls, clock).deliver_due()
    assert inbox.posts == []
    assert notices(engine)["user:U1"].state == "kept"


def test_nothing_is_sent_twice_also_after_a_restart(engine, clock, overrun, inbox):
    for _ in range(2):
        Delivery(AlertStore(engine), {"bureau": [inbox.url("b")]}, clock).deliver_due()
        clock.at += timedelta(days=1)
    assert len(inbox.posts) == 1


def test_a_refused_notice_waits_longer_each_time_and_then_goes_out(engine, clock, overrun, inbox):
    delivery = Delivery(AlertStore(engine), {"bureau": [inbox.url("b")]}, clock)
    inbox.status = 503
    for attempt, wait in ((1, 30), (2, 60), (3, 120)):
        assert delivery.deliver_due() == 0
        failed = notices(engine)["bureau"]
        assert (failed.state, failed.attempts) == ("waiting", attempt)
        assert failed.next_attempt_at == clock.at + timedelta(seconds=wait)
        assert "503" in failed.error
        clock.at = failed.next_attempt_at - timedelta(seconds=1)
        assert delivery.deliver_due() == 0
        assert notices(engine)["bureau"].attempts == attempt
        clock.at = failed.next_attempt_at
    inbox.status = 200
    assert delivery.deliver_due() == 1
    sent = notices(engine)["bureau"]
    assert (sent.state, sent.error, sent.attempts) == ("sent", None, 4)


def test_an_address_that_was_reached_is_not_sent_again_while_another_fails(
    engine, clock, overrun, inbox
):
    other = Inbox()
    other.status = 500
    urls = {"bureau": [inbox.url("good"), other.url("bad")]}
    delivery = Delivery(AlertStore(engine), urls, clock)
    delivery.deliver_due()
    clock.at += timedelta(hours=2)
    other.status = 200
    delivery.deliver_due()
    other.stop()
    assert len(inbox.posts) == len(other.posts) == 1
    assert notices(engine)["bureau"].state == "sent"


def test_a_notice_is_given_up_after_fifty_attempts():
    assert wait_after(49) == timedelta(hours=1)
    assert wait_after(50) is None


def test_an_address_that_is_none_is_refused_without_showing_it(engine):
    with pytest.raises(DeliveryError, match="audience bureau: address 1") as refused:
        Delivery(AlertStore(engine), {"bureau": ["nonsense-with-secret"]}, Clock())
    assert "secret" not in str(refused.value)
