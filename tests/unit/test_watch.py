"""When the watch tells people, and that it does: judging in a table, the rest over real HTTP."""

import contextlib
import json
import shutil
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zoneinfo import ZoneInfo

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry

from alerts.senders import DeliveryError
from jieshui.config import Settings
from jieshui.watch import looking
from jieshui.watch.judging import Look, Standing, Trouble, judge
from jieshui.watch.keeping import Kept, Memory
from jieshui.watch.looking import Targets, look_at_disk
from jieshui.watch.process import certificates_of
from jieshui.watch.service import Watch
from jieshui.watch.telling import Post

pytestmark = pytest.mark.filterwarnings(
    "ignore:.imghdr. is deprecated:DeprecationWarning"  # apprise imports it on Python < 3.13
)

NOW = datetime(2026, 9, 15, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
SILENT = Trouble("无正常应答", "gives no good answer", "http://x refused")


def ago(**past):
    return NOW - timedelta(**past)


@pytest.mark.parametrize(
    ("before", "trouble", "after", "title"),
    [
        pytest.param(None, None, None, None, id="all-is-well"),
        pytest.param(None, SILENT, Standing(NOW), None, id="the-first-silence-is-waited-out"),
        pytest.param(Standing(ago(seconds=119)), SILENT, Standing(ago(seconds=119)), None,
                     id="not-yet"),
        pytest.param(Standing(ago(seconds=15)), None, Standing(ago(seconds=15), None, NOW), None,
                     id="a-good-look-is-not-the-end"),
        pytest.param(Standing(ago(seconds=300), None, ago(seconds=119)), None,
                     Standing(ago(seconds=300), None, ago(seconds=119)), None,
                     id="good-for-less-than-patience"),
        pytest.param(Standing(ago(seconds=130), None, ago(seconds=120)), None, None, None,
                     id="a-short-silence-is-no-news"),
        pytest.param(Standing(ago(seconds=120), None, ago(seconds=15)), SILENT,
                     Standing(ago(seconds=120), NOW), "【运行看护】ingest：无正常应答",
                     id="what-comes-and-goes-is-told"),
        pytest.param(Standing(ago(seconds=120)), SILENT, Standing(ago(seconds=120), NOW),
                     "【运行看护】ingest：无正常应答", id="silent-for-long"),
        pytest.param(Standing(ago(hours=30), ago(hours=23)), SILENT,
                     Standing(ago(hours=30), ago(hours=23)), None, id="told-lately"),
        pytest.param(Standing(ago(hours=30), ago(hours=24)), SILENT, Standing(ago(hours=30), NOW),
                     "【运行看护】ingest：无正常应答", id="told-again-after-a-day"),
        pytest.param(Standing(ago(hours=2), ago(hours=1), ago(seconds=120)), None, None,
                     "【运行看护】ingest：已恢复正常", id="back"),
    ],
)  # fmt: skip
def test_people_are_told_when(before, trouble, after, title):
    look = Look("ingest", trouble)
    standing, letter = judge(before, look, NOW, timedelta(minutes=2), ZONE)
    assert (standing, letter and letter.title) == (after, title)


@pytest.mark.parametrize("good_s", [15, 105], ids=["mostly-down", "down-every-other-two-minutes"])
def test_what_comes_and_goes_all_day_is_one_letter(good_s):
    standing, letters = None, []
    for second in range(0, 86_400, 15):
        trouble = SILENT if second % (105 + good_s) < 105 else None
        look, now = Look("ingest", trouble), NOW + timedelta(seconds=second)
        standing, letter = judge(standing, look, now, timedelta(minutes=2), ZONE)
        letters += [letter] if letter else []
    assert [letter.title for letter in letters] == ["【运行看护】ingest：无正常应答"]


def test_a_trouble_ended_when_all_was_well_again():
    before = Standing(ago(hours=1), ago(minutes=58), ago(minutes=2))
    _, letter = judge(before, Look("ingest", None), NOW, timedelta(minutes=2), ZONE)
    assert letter.body.startswith("异常时间：2026-09-15 07:00:00 至 2026-09-15 07:58:00")


def test_a_letter_says_it_in_chinese_first_with_the_citys_time():
    _, letter = judge(
        Standing(ago(minutes=2)), Look("ingest", SILENT), NOW, timedelta(minutes=2), ZONE
    )
    assert letter.severity == "red"
    assert letter.body.splitlines() == [
        "开始时间：2026-09-15 07:58:00；未恢复时每日再次通知。",
        "http://x refused",
        "",
        "[watch] ingest: gives no good answer",
        "since 2026-09-15 07:58:00; told every day while it lasts",
    ]


class Web:
    """A web server on the loopback: answers `status`, keeps what is posted to it."""

    def __init__(self):
        self.status, self.posts = 200, []
        self.answer = b'{"ready": false,\n "error": "the disk is away"}'
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(web.status)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(web.answer)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if web.status == 200:
                    web.posts.append(body)
                self.send_response(web.status)
                self.end_headers()

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02])
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def titles(self):
        return [post["title"] for post in self.posts]


@pytest.fixture
def web():
    made = []

    def make():
        made.append(Web())
        return made[-1]

    yield make
    for each in made:
        each.stop()


class Clock:
    at = NOW

    def now(self):
        return self.at


class House:
    """A watch with one process to look at and an address or more to tell."""

    def __init__(self, folder, process, inbox, *others):
        self.folder, self.process, self.inbox = folder, process, inbox
        self.addresses = [f"json://{each.address}/" for each in (inbox, *others)]
        self.clock = Clock()
        self.open()

    def open(self):
        """The watch begins, as after a restart."""
        self.metrics = CollectorRegistry()
        self.targets = Targets({"ingest": f"http://{self.process.address}/readyz"})
        self.watch = Watch(
            lambda _: self.targets.look(),
            self.addresses,
            Memory(self.folder / "watch.json"),
            clock=self.clock,
            zone=ZONE,
            pause_s=15,
            patience_s=120,
            metrics=self.metrics,
        )

    def after(self, **time):
        self.clock.at += timedelta(**time)
        self.watch.go_round()
        return self.inbox.titles


DOWN, BACK = "【运行看护】ingest：无正常应答", "【运行看护】ingest：已恢复正常"


@pytest.fixture
def house(tmp_path, web):
    made = House(tmp_path, web(), web())
    yield made
    made.targets.close()


def test_a_process_that_does_not_work_is_told_once_a_day_and_its_return_too(house):
    assert house.after() == []
    house.process.status = 503
    assert house.after(seconds=15) == []
    assert house.watch.health()["troubles"] == {"ingest": "gives no good answer"}
    assert house.after(seconds=120) == [DOWN]
    assert '503 {"ready": false, "error": "the disk is away"}' in house.inbox.posts[0]["message"]
    assert house.after(hours=12) == [DOWN]
    assert house.after(hours=12) == [DOWN, DOWN]
    house.process.status = 200
    assert house.after(seconds=15) == [DOWN, DOWN]
    assert house.after(seconds=120) == [DOWN, DOWN, BACK]
    assert house.after(seconds=15) == [DOWN, DOWN, BACK]
    assert house.metrics.get_sample_value("jieshui_watch_good", {"subject": "ingest"}) == 1


def test_a_process_where_nothing_listens_is_silent(house):
    house.targets.close()
    house.targets = Targets({"ingest": "http://127.0.0.1:1/readyz"})
    house.after()
    assert house.after(seconds=120) == [DOWN]
    assert "http://127.0.0.1:1/readyz ConnectError" in house.inbox.posts[0]["message"]


@pytest.fixture
def dripping():
    """An address whose answer never ends: a byte of its headers now and then."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not ended.wait(0.05):
                connection.sendall(b"x")

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    ended.set()
    thread.join()
    listener.close()


def test_an_answer_that_drips_holds_nobody_up(web, dripping):
    targets = Targets({"slow": dripping, "good": f"http://{web().address}/"}, patience_s=0.3)
    began = time.monotonic()
    looks = [list(targets.look()) for _ in range(2)]
    assert time.monotonic() - began < 2
    for slow, good, _ in looks:
        assert "no whole answer in time" in slow.trouble.detail
        assert good.trouble is None
    targets.close()


def test_what_is_no_address_is_a_trouble_not_the_end():
    targets = Targets({"odd": "http://host:port/"})
    (look,) = targets.look()
    assert "InvalidURL" in look.trouble.detail
    targets.close()


def test_of_a_long_answer_a_little_is_read(web):
    process = web()
    process.status, process.answer = 503, b"x" * 50_000_000
    targets = Targets({"long": f"http://{process.address}/"})
    (look,) = targets.look()
    assert look.trouble.detail.endswith("503 " + "x" * 296)
    targets.close()


def test_what_works_and_warns_is_told_of_apart(house):
    house.process.answer = json.dumps(
        {"ready": True, "warnings": [["已连接但长时间无数据", "connected, but no message arrives"]]}
    ).encode()
    house.after()
    warned = "【运行看护】ingest 提示 warnings：已连接但长时间无数据"
    assert house.after(seconds=120) == [warned]
    assert house.inbox.posts[0]["type"] == "warning"
    assert "connected, but no message arrives" in house.inbox.posts[0]["message"]
    house.process.answer = b'{"ready": true, "warnings": []}'
    house.after()
    house.after(seconds=120)
    assert house.inbox.titles[1:] == ["【运行看护】ingest 提示 warnings：已恢复正常"]


@pytest.mark.parametrize("answer", [b"<html>", b'{"warnings": 3}', b"", b"\xff"])
def test_an_answer_that_is_no_health_warns_of_nothing(web, answer):
    process = web()
    process.answer = answer
    targets = Targets({"ingest": f"http://{process.address}/"})
    assert [look.trouble for look in targets.look()] == [None, None]
    targets.close()


def test_a_restarted_watch_tells_nothing_twice_and_the_return_all_the_same(house):
    house.process.status = 503
    house.after()
    assert house.after(seconds=120) == [DOWN]
    house.targets.close()
    house.open()
    assert house.after(seconds=120) == [DOWN]
    house.process.status = 200
    house.after(seconds=15)
    assert house.after(seconds=120) == [DOWN, BACK]


def test_a_letter_that_did_not_arrive_is_sent_again_also_by_a_restarted_watch(house):
    house.process.status = house.inbox.status = 503
    house.after()
    assert house.after(seconds=120) == []
    assert house.watch.health()["letters_waiting"] == 1
    assert house.after(seconds=29) == []
    house.targets.close()
    house.open()
    house.inbox.status = 200
    house.after()
    assert house.after(seconds=120) == [DOWN]
    assert house.watch.health()["letters_waiting"] == 0


def test_with_one_dead_address_a_restart_tells_the_other_nothing_twice(tmp_path, web):
    process, inbox, dead = web(), web(), web()
    house = House(tmp_path, process, inbox, dead)
    process.status = dead.status = 503
    house.after()
    assert house.after(seconds=120) == [DOWN]
    house.targets.close()
    house.open()
    assert house.watch.health()["letters_waiting"] == 1
    process.status = dead.status = 200
    house.after(seconds=30)
    assert (inbox.titles, dead.titles) == ([DOWN], [DOWN])
    house.after(seconds=120)
    assert (inbox.titles, dead.titles) == ([DOWN, BACK], [DOWN, BACK])
    house.targets.close()


def test_a_letter_to_an_address_that_is_named_no_more_is_dropped(tmp_path, web):
    process, inbox, dead = web(), web(), web()
    house = House(tmp_path, process, inbox, dead)
    process.status = dead.status = 503
    house.after()
    house.after(seconds=120)
    house.targets.close()
    house.addresses.pop()
    house.open()
    assert house.watch.health()["letters_waiting"] == 0
    house.targets.close()


def test_a_letter_waits_until_its_address_answers(house):
    house.process.status = house.inbox.status = 503
    house.after()
    house.after(seconds=120)
    house.inbox.status = 200
    assert house.after(seconds=29) == [], "tried again after half a minute"
    assert house.after(seconds=1) == [DOWN]


@pytest.mark.parametrize("content", [None, b"", b'{"ingest": 3}'], ids=["none", "empty", "other"])
def test_a_file_that_says_nothing_is_begun_anew(house, content):
    if content is not None:
        (house.folder / "watch.json").write_bytes(content)
    house.targets.close()
    house.open()
    house.process.status = 503
    house.after()
    assert house.after(seconds=120) == [DOWN]


def test_a_folder_that_can_not_be_written_stops_nothing(house):
    shutil.rmtree(house.folder)
    house.process.status = 503
    house.after()
    assert house.after(seconds=120) == [DOWN]
    assert house.after(seconds=15) == [DOWN]


def test_a_folder_that_can_be_written_again_is(house):
    memory = Memory(house.folder / "not there yet" / "watch.json")
    kept = Kept({"ingest": Standing(NOW, NOW)})
    memory.save(kept)
    (house.folder / "not there yet").mkdir()
    memory.save(kept)
    assert Memory(house.folder / "not there yet" / "watch.json").load() == kept


def test_a_wrong_address_is_named_without_its_secret():
    with pytest.raises(DeliveryError, match="audience watch: address 2") as refused:
        Post(["json://127.0.0.1", "nonsense://secret"], CollectorRegistry())
    assert "secret" not in str(refused.value)


def test_a_disk_is_told_of_when_it_is_nearly_full(tmp_path, monkeypatch):
    assert look_at_disk(tmp_path, 0).trouble is None
    usage = shutil._ntuple_diskusage(total=1000, used=950, free=50)
    monkeypatch.setattr(looking.shutil, "disk_usage", lambda _: usage)
    assert look_at_disk(tmp_path, 0.05).trouble is None
    assert look_at_disk(tmp_path, 0.06).trouble.zh == "即将写满，剩余 5.0%"


def test_a_folder_that_is_gone_is_told_of(tmp_path):
    assert look_at_disk(tmp_path / "none", 0).trouble.zh == "无法读取"


def test_the_certificates_of_the_whole_configuration_are_looked_at(tmp_path):
    ca, ours, server = (tmp_path / name for name in ("ca.pem", "client.pem", "server.pem"))
    settings = Settings(
        mqtt={"ca_file": ca, "certificate_file": ours},
        influx={"url": "https://influxdb:8086", "token_file": tmp_path / "t", "ca_file": ca},
        watch={"certificates": [server]},
    )
    assert certificates_of(settings) == (server, ca, ours)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a certificate of our own that ends ten days and an hour after NOW."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=355))
        .not_valid_after(NOW + timedelta(days=10, hours=1))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("certificates") / "server.pem"
    file.write_bytes(made.public_bytes(Encoding.PEM))
    return file


@pytest.mark.parametrize(
    ("passed", "said", "severity"),
    [
        pytest.param(timedelta(days=-20), None, None, id="in-thirty-days"),
        pytest.param(timedelta(days=-19), "将于 2026-09-25 到期，剩余 29 天", "warning",
                     id="in-twenty-nine"),
        pytest.param(timedelta(days=11), "已于 2026-09-25 过期", "red", id="ended"),
    ],
)  # fmt: skip
def test_the_end_of_a_certificate_is_told_of_in_time(certificate, passed, said, severity):
    (look,) = looking.look_at_certificates([certificate], 30, NOW + passed)
    trouble = look.trouble
    assert (trouble and trouble.zh, trouble and trouble.severity) == (said, severity)


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["gone", "empty"])
def test_a_certificate_that_can_not_be_read_is_told_of(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    (look,) = looking.look_at_certificates([file], 30, NOW)
    assert look.trouble.zh == "无法读取"
