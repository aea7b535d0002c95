"""A backlog in Mosquitto drained into InfluxDB: by jieshui, and by Telegraf in the same run.

    python bench/telegraf.py [--messages N] [--rounds 3] [--telegraf PROGRAM]

Mosquitto holds the same N QoS 1 messages (one reading with four numbers each) for two persistent
sessions. Both contenders store the same fields: three quantities and `received_at`, which stands in
the messages for Telegraf's sake; jieshui passes it over and stores when it received them.

In turn each contender resumes its session with an influxd that starts empty; the clock runs from
the moment the broker accepts it. "acknowledged": every message is durable in our journal and
acknowledged; Telegraf acknowledges what is written. "stored": the last message's reading can be
queried, and then all of them. CPU is the contender's own and influxd's, from then until that.

jieshui is what `jieshui serve ingest` runs, with checks, sums, receipts and its ledger in SQLite.
"""

# ruff: noqa: E402 - the script's own folder must first stop hiding the package of the same name

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])

import argparse
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec
import structlog
import urllib3
from rich.console import Console
from rich.table import Table

from bench.running import (
    HOST,
    count,
    count_connections,
    cpu_seconds,
    need,
    wait_for,
    write_registry,
)
from ingest.broker.connection import connect, make_client
from ingest.settings import MqttSettings
from jieshui.broker import Mosquitto, find_mosquitto, free_port
from jieshui.demo.servers import InfluxDB, find_influxd
from storage.influx.lines import METER_TAG

METERS, INTERVAL_S = 2_000, 900
TOPIC = "water/v1/north/jieshui/-/reading"
OURS, THEIRS = "jieshui-ingest", "telegraf"
_LINES = 50_000
"""Lines that one mosquitto_pub is given: it reads ahead, and packet ids end at 65,535."""

TELEGRAF = """
[agent]
  omit_hostname = true
  flush_interval = "200ms"
  flush_jitter = "0s"
  metric_batch_size = 5000
  metric_buffer_limit = 100000
  quiet = true

[[inputs.mqtt_consumer]]
  servers = ["tcp://{host}:{port}"]
  topics = ["water/v1/#"]
  topic_tag = ""
  client_id = "{client_id}"
  qos = 1
  persistent_session = true
  max_undelivered_messages = 20000
  name_override = "reading"
  data_format = "json"
  tag_keys = ["meter"]
  json_time_key = "at"
  json_time_format = "unix"

[[outputs.influxdb_v2]]
  urls = ["{url}"]
  token = "{token}"
  organization = "{organisation}"
  bucket = "{bucket}"
  content_encoding = "identity"
"""

JIESHUI = """
[city]
name = "bench"

[store]
folder = "{folder}"

[mqtt]
host = "{host}"
port = {port}
protocol = "3.1.1"
client_id = "{client_id}"

[influx]
url = "{url}"
organisation = "{organisation}"
bucket = "{bucket}"
token_file = "{token_file}"

[ingest]
port = {health}
"""


class Drain(NamedTuple):
    """What one contender came to: seconds from its connection, and CPU seconds."""

    acknowledged_s: float
    stored_s: float
    own_cpu_s: float
    influxd_cpu_s: float


class Bench:
    """The servers of one round."""

    def __init__(self, folder: Path, messages: int, telegraf: str) -> None:
        self.folder = folder
        self.messages = messages
        self._telegraf = telegraf
        self.broker = Mosquitto(need(find_mosquitto(), "mosquitto"), folder / "broker", free_port())

    def drain_with_telegraf(self) -> Drain:
        with self._influxd("telegraf") as influxd:
            config = self.folder / "telegraf.conf"
            config.write_text(
                TELEGRAF.format(
                    host=HOST, port=self.broker.port, client_id=THEIRS, url=influxd.url,
                    token=influxd.token, organisation=influxd.organisation, bucket=influxd.bucket,
                )
            )  # fmt: skip
            command = [self._telegraf, "--config", str(config)]
            return self._drain(command, THEIRS, influxd, None)

    def drain_with_jieshui(self) -> Drain:
        with self._influxd("jieshui") as influxd:
            config, health = self.folder / "jieshui.toml", free_port()
            config.write_text(
                JIESHUI.format(
                    folder=self.folder / "store", host=HOST, port=self.broker.port, client_id=OURS,
                    url=influxd.url, organisation=influxd.organisation, bucket=influxd.bucket,
                    token_file=influxd.token_file, health=health,
                )
            )  # fmt: skip
            jieshui = [sys.executable, "-m", "jieshui"]
            registry = write_registry(self.folder / "registry", METERS)
            subprocess.run(
                [*jieshui, "import", str(registry), "--config", str(config)],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            command = [*jieshui, "serve", "ingest", "--config", str(config)]
            return self._drain(command, OURS, influxd, health)

    @contextmanager
    def _influxd(self, name: str) -> Iterator[InfluxDB]:
        server = InfluxDB(need(find_influxd(), "influxd"), self.folder / f"influxd-{name}")
        server.start()
        try:
            yield server
        finally:
            server.stop()

    def _drain(
        self, command: list[str], client_id: str, influxd: InfluxDB, health: int | None
    ) -> Drain:
        connected = self.connections(client_id)
        before = cpu_seconds(influxd.pid)
        with (self.folder / f"{client_id}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        questions = Questions(influxd, METER_TAG if health else "meter", self.messages)
        try:
            wait_for(lambda: process.poll() is not None or self.connections(client_id) > connected)
            if process.returncode is not None:
                sys.exit(f"bench/telegraf.py: {Path(log.name).read_text()}")
            began, at_first = time.monotonic(), cpu_seconds(process.pid)
            if health:
                wait_for(lambda: count(health, "messages", "received") >= self.messages, 0.02)
            acknowledged = time.monotonic() - began
            wait_for(questions.has_last, 0.02)
            stored = time.monotonic() - began
            own = cpu_seconds(process.pid) - at_first
            server = cpu_seconds(influxd.pid) - before
            if not questions.has_all():  # something older came after it
                wait_for(questions.has_all, 0.02)
                stored = time.monotonic() - began
            return Drain(acknowledged if health else stored, stored, own, server)
        finally:
            process.terminate()
            process.wait(30)

    def connections(self, client_id: str) -> int:
        """How often the broker has accepted a client so far."""
        return count_connections(self.folder / "broker" / "broker.log", client_id)


def make_sessions(port: int) -> None:
    """Leave a persistent session of both contenders at the broker."""
    for client_id in (OURS, THEIRS):
        settings = MqttSettings(HOST, port, client_id=client_id)
        client, subscribed = make_client(settings, client_id), threading.Event()
        client.on_connect = lambda who, *_: who.subscribe("water/v1/#", 1) and None
        client.on_subscribe = lambda *_, done=subscribed: done.set()
        connect(client, settings)
        client.loop_start()
        subscribed.wait(10)
        client.disconnect()
        client.loop_stop()


def publish_backlog(port: int, messages: int) -> None:
    """Every meter once a quarter of an hour, in order of time."""
    publish = need(shutil.which("mosquitto_pub"), "mosquitto_pub")
    first = newest_instant() - INTERVAL_S * ((messages - 1) // METERS)
    lines = [
        f'{{"meter":"m{n % METERS}","at":{first + n // METERS * INTERVAL_S},'
        f'"received_at":{newest_instant()},"register_m3":{1e4 + n // METERS / 8},'
        f'"flow_m3_h":{n % 97 / 8},"pressure_mpa":0.3125}}\n'
        for n in range(messages)
    ]
    for begin in range(0, messages, _LINES):
        subprocess.run(
            [publish, "-h", HOST, "-p", str(port), "-q", "1", "-t", TOPIC, "-l"],
            input="".join(lines[begin : begin + _LINES]).encode(), check=True,
        )  # fmt: skip


_STARTED = int(time.time()) // INTERVAL_S * INTERVAL_S


def newest_instant() -> int:
    """The instant of the newest reading, epoch seconds."""
    return _STARTED


class Questions:
    """Asks an influxd what it has, in InfluxQL and over one connection.

    The same in Flux takes 20 ms of a core a question: asked all the time, a sixth of the machine.
    """

    def __init__(self, influxd: InfluxDB, tag: str, messages: int) -> None:
        self._influxd = influxd
        self._tag = tag
        self._messages = messages
        self._pool = urllib3.PoolManager()

    def has_last(self) -> bool:
        """Whether the reading of the backlog's last message can be queried."""
        meter, at = (self._messages - 1) % METERS, newest_instant()
        return self._count(f" WHERE {self._tag} = 'm{meter}' AND time = {at}s") == 1

    def has_all(self) -> bool:
        """Whether the server gives every reading back."""
        return self._count("") == self._messages

    def _count(self, where: str) -> int:
        """Readings, of all or of some."""
        influxd = self._influxd
        answer = self._pool.request(
            "GET",
            f"{influxd.url}/query",
            fields={"db": influxd.bucket, "q": f"SELECT count(register_m3) FROM reading{where}"},
            headers={"Authorization": f"Token {influxd.token}"},
        )
        (result,) = msgspec.json.decode(answer.data)["results"]
        return sum(series["values"][0][1] for series in result.get("series", ()))


def run_round(number: int, arguments: argparse.Namespace) -> dict[str, Drain]:
    """Both contenders on one backlog, in turns the one or the other first."""
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), arguments.messages, arguments.telegraf)
        bench.broker.start()
        try:
            make_sessions(bench.broker.port)
            publish_backlog(bench.broker.port, arguments.messages)
            turns = [("jieshui", bench.drain_with_jieshui), ("telegraf", bench.drain_with_telegraf)]
            return {who: drain() for who, drain in turns[:: 1 if number % 2 else -1]}
        finally:
            bench.broker.stop()


def tabulate(rounds: list[dict[str, Drain]], messages: int) -> Table:
    table = Table(title=f"{messages:,} messages, one reading each: Mosquitto → InfluxDB")
    for heading in ("", "acknowledged s", "stored s", "stored /s", "CPU µs", "influxd µs"):
        table.add_column(heading, justify="right" if heading else "left")
    for number, drains in enumerate(rounds, 1):
        for who, drain in drains.items():
            table.add_row(
                f"{number} {who}", f"{drain.acknowledged_s:.2f}", f"{drain.stored_s:.2f}",
                f"{messages / drain.stored_s:,.0f}", f"{drain.own_cpu_s / messages * 1e6:.1f}",
                f"{drain.influxd_cpu_s / messages * 1e6:.1f}",
            )  # fmt: skip
    ratios = [
        statistics.median(drains["telegraf"][i] / drains["jieshui"][i] for drains in rounds)
        for i in range(len(Drain._fields))
    ]
    table.add_section()
    table.add_row(
        "telegraf / jieshui", f"{ratios[0]:.1f}", f"{ratios[1]:.2f}", "", f"{ratios[2]:.2f}",
        f"{ratios[3]:.2f}",
    )  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--telegraf", help="the program; else tests/servers/telegraf.sh makes it")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    if arguments.telegraf is None:
        script = Path(__file__).parent.parent / "tests" / "servers" / "telegraf.sh"
        made = subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True)
        arguments.telegraf = made.stdout.strip()
    rounds = [run_round(number, arguments) for number in range(1, arguments.rounds + 1)]
    Console().print(tabulate(rounds, arguments.messages))


if __name__ == "__main__":
    main()
