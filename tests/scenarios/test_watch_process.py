"""`jieshui serve watch` tells people that the analysis stopped, and that it is back."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest


@pytest.fixture
def inbox():
    """A webhook of the bureau's; the titles that reached it."""
    titles = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            titles.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["title"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield f"json://127.0.0.1:{server.server_port}/", titles
    server.shutdown()
    thread.join()
    server.server_close()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def serve(tmp_path):
    """Start `jieshui serve NAME` with the configuration of this folder; all end with the test."""
    processes = []

    def start(name):
        with (tmp_path / f"{name}.log").open("ab") as out:
            command = [sys.executable, "-m", "jieshui", "serve", name]
            command += ["--config", str(tmp_path / "jieshui.toml")]
            processes.append(subprocess.Popen(command, stdout=out, stderr=out))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def until(true, seconds=90):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return true()


def ready(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5)
    except httpx.TransportError:
        return None


def test_people_are_told_that_the_analysis_stopped_and_that_it_is_back(serve, inbox, tmp_path):
    address, titles = inbox
    analysis_port, watch_port = free_port(), free_port()
    (tmp_path / "jieshui.toml").write_text(
        f'[store]\nfolder = "store"\n[notify]\nbureau = ["{address}"]\n'
        f"[analysis]\nport = {analysis_port}\n"
        f"[watch]\nport = {watch_port}\npause_s = 0.2\nsilent_s = 1\nleast_free = 0\n"
        f'[watch.targets]\nanalysis = "http://127.0.0.1:{analysis_port}/readyz"\n',
        encoding="utf-8",
    )
    analysis = serve("analysis")
    assert until(lambda: (said := ready(analysis_port)) and said.status_code == 200)
    serve("watch")
    assert until(lambda: ready(watch_port))
    answer = ready(watch_port)
    assert (answer.json()["ready"], answer.json()["troubles"]) == (True, {})
    assert answer.headers["cache-control"] == "no-store"
    os.kill(analysis.pid, signal.SIGKILL)
    assert until(lambda: titles), "nobody was told"
    serve("analysis")
    assert until(lambda: len(titles) == 2)
    assert titles == ["【运行看护】analysis：无正常应答", "【运行看护】analysis：已恢复正常"]
