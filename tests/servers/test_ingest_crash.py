import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.journal import REPEATED, JournalReader, open_journal
from storage.readings import open_readings
from water.accounting import sum_messages, sum_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.loading import Position, Tally

pytestmark = pytest.mark.servers

WORKER = Path(__file__).with_name("ingest_worker.py")
METERS = 50
PUBLISHED = 20_000


@pytest.fixture
def worker(tmp_path):
    """Call to start the ingest process; it ends with the test."""
    started = []

    def start(port, *more, trace=()):
        command = [*trace, sys.executable, str(WORKER), "--port", str(port)]
        with (tmp_path / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, "--folder", str(tmp_path), *more], stdout=log, stderr=log
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def publish(broker, first, count):
    """Publish numbered readings, each of its own (meter, at); return once the broker has all."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(1_000)
    client.connect(broker.host, broker.port)
    client.loop_start()
    now = int(time.time())
    waiting = [
        client.publish(
            f"water/v1/north/jieshui/m{number % METERS}/reading",
            b'{"at":%d,"register_m3":%d}' % (now - 900 * (1 + number // METERS), number),
            qos=1,
        )
        for number in range(first, first + count)
    ]
    for info in waiting:
        info.wait_for_publish(30)
    client.disconnect()
    client.loop_stop()


def look(folder):
    """What stands on disk while no process runs: the store's counts and the journal's entries."""
    store = open_readings(folder / "store", CityTime(ZoneInfo("Asia/Shanghai")), SystemClock())
    journal = open_journal(folder / "journal", 1 << 20)
    try:
        reader = JournalReader(folder / "journal", journal.marker, journal.committed)
        entries, position = [], Position()
        while True:
            found, position = reader.read(position)
            if not found:
                return Counter(store.tallies()), store.position("ingest"), entries
            entries += found
    finally:
        journal.close()
        store.close()


def wait_until(holds, seconds, what):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)


def journal_bytes(folder):
    return sum(path.stat().st_size for path in (folder / "journal").glob("*.journal"))


def test_nothing_is_lost_when_ingest_is_killed_in_mid_stream(mosquitto, worker, tmp_path):
    subscriber = worker(mosquitto.port)
    log = tmp_path / "worker.log"
    wait_until(lambda: "broker connected" in log.read_text(), 60, "the session is made")
    time.sleep(0.3)
    subscriber.send_signal(signal.SIGTERM)
    subscriber.wait(10)
    publish(mosquitto, 0, PUBLISHED)

    unacknowledged, unloaded = [], []
    for _ in range(2):
        before = journal_bytes(tmp_path)
        victim = worker(mosquitto.port, "--load-delay", "0.05", "--batch", "200")
        wait_until(lambda: journal_bytes(tmp_path) > before + 200_000, 60, "it is in mid-stream")  # noqa: B023 (called at once)
        victim.kill()
        victim.wait()
        tallies, position, entries = look(tmp_path)
        distinct = len({entry.payload for entry in entries})
        unacknowledged.append(PUBLISHED - distinct)
        unloaded.append(len(entries) - position.entry)
    assert all(count > 0 for count in unacknowledged)
    assert all(count > 0 for count in unloaded)

    survivor = worker(mosquitto.port)
    wait_until(lambda: count_stored(tmp_path) == PUBLISHED, 60, "every reading is stored")
    survivor.send_signal(signal.SIGTERM)
    survivor.wait(10)
    tallies, position, entries = look(tmp_path)
    assert any(entry.flags & REPEATED for entry in entries), "the broker sent unacknowledged again"
    messages, readings = sum_messages(tallies)["north"], sum_readings(tallies)["north"]
    assert messages.balanced
    assert readings.balanced
    assert messages.received == len(entries) == position.entry
    assert (readings.stored, readings.conflict, readings.quarantined) == (PUBLISHED, 0, 0)
    assert readings.duplicate == len(entries) - PUBLISHED


def count_stored(folder):
    """Ask the store while the worker runs."""
    store = open_readings(folder / "store", CityTime(ZoneInfo("Asia/Shanghai")), SystemClock())
    try:
        return store.tallies().get(Tally("north", "readings", "stored"), 0)
    finally:
        store.close()


def test_no_acknowledgement_goes_out_before_the_fdatasync_of_its_group(
    mosquitto, worker, tmp_path, missing
):
    """Over the system calls of the real process against the real broker."""
    trace = tmp_path / "calls"
    calls = "trace=sendto,pwrite64,fdatasync"
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False)
    if probe.returncode:
        missing("strace can't trace on this machine (apt-get install strace)")
    strace = ("strace", "-f", "-y", "-xx", "-s", "4000000", "-e", calls, "-o", str(trace))
    traced = worker(mosquitto.port, trace=strace)
    log = tmp_path / "worker.log"
    wait_until(lambda: "broker connected" in log.read_text(), 60, "it is connected")
    publish(mosquitto, 0, 300)
    wait_until(lambda: count_stored(tmp_path) == 300, 60, "every reading is stored")
    os.kill(child_of(traced.pid), signal.SIGTERM)
    traced.wait(20)
    acknowledged = 0
    written = synced = 0
    for line in follow(trace.read_text()):
        if ".journal>" in unhex(line) and " pwrite64(" in line:
            written += unhex(line).count("water/v1/north")
        elif ".journal>" in unhex(line) and " fdatasync(" in line and "= 0" in line:
            synced = written
        elif " sendto(" in line and (packets := re.findall(r'"((?:\\x[0-9a-f]{2})+)"', line)):
            acknowledged += packets[0].count(r"\x40\x02")
            assert acknowledged <= synced
    assert acknowledged == 300


def follow(trace):
    """The calls as they ended, with what they were given; a sendto as it began."""
    begun = {}
    for line in trace.splitlines():
        thread = line.split()[0]
        if "<unfinished" in line:
            begun[thread] = line
            if " sendto(" in line:
                yield line
        elif " resumed>" not in line:
            yield line
        elif " sendto(" not in begun[thread]:
            yield begun[thread] + line


def child_of(pid):
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def unhex(line):
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), line)
