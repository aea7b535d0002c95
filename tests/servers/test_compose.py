"""A whole installation by compose.yaml: over TLS in, over TLS out; `make test-image` runs this.

A registry mirror, or stand-ins of the other projects' images, go into $JIESHUI_TEST_MIRROR.
"""

import os
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

IMAGE = os.environ["JIESHUI_TEST_IMAGE"]
DEPLOY = Path(__file__).parents[2] / "deploy"
PATIENCE_S = 180
SUPPLIER = "east"
REGISTRY = {
    "suppliers": "id,name\neast,东供水\n",
    "zones": "id,name\nz1,一区\n",
    "meters": "id,supplier_id,role,zone_id\nM-1,east,zone_inlet,z1\n",
}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@dataclass(frozen=True)
class Installation:
    """A compose project of the test's own."""

    folder: Path
    project: str
    mqtt_port: int
    https_port: int

    @property
    def variables(self) -> dict[str, str]:
        return {
            "JIESHUI_CITY": str(self.folder),
            "JIESHUI_IMAGE": IMAGE,
            "JIESHUI_MIRROR": os.environ.get("JIESHUI_TEST_MIRROR", ""),
            "JIESHUI_MQTT_PORT": str(self.mqtt_port),
            "JIESHUI_HTTPS_PORT": str(self.https_port),
            "JIESHUI_HTTP_PORT": str(free_port()),
        }

    def run(self, *command: str | Path) -> str:
        environment = os.environ | self.variables
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout.strip()

    def compose(self, *arguments: str) -> str:
        file = str(DEPLOY / "compose.yaml")
        return self.run("docker", "compose", "-p", self.project, "-f", file, *arguments)

    def jieshui(self, *arguments: str) -> str:
        return self.compose("run", "--rm", "-T", "jieshui", *arguments)

    def read(self, path: str) -> str:
        """A file of the folder, which belongs to the containers' user."""
        return self.compose("run", "--rm", "-T", "--entrypoint=cat", "jieshui", path)

    def states(self) -> dict[str, str]:
        """Container → its health."""
        lines = self.compose("ps", "--format", "{{.Name}} {{.Health}}").splitlines()
        return dict(line.removeprefix(f"{self.project}-").split(" ") for line in lines)


def wait_for(said: str, what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, said
        time.sleep(1)


@pytest.fixture(scope="module")
def installation(tmp_path_factory) -> Iterator[Installation]:
    """Two ingest workers and everything else, healthy; removed with its volumes afterwards."""
    folder = tmp_path_factory.mktemp("compose") / "city"
    made = Installation(folder, f"test{uuid.uuid4().hex[:8]}", free_port(), free_port())
    try:
        made.run(DEPLOY / "prepare.sh", "localhost")
        made.compose("up", "--detach", "--quiet-pull", "--scale=ingest=2")
        wait_for("not healthy", lambda: set(made.states().values()) == {"healthy"})
        yield made
    finally:
        made.compose("--profile=*", "down", "--volumes", "--timeout=20")
        owned = f"--volume={folder.parent}:/made"
        made.run(
            "docker",
            "run",
            "--rm",
            "--user=0",
            owned,
            "--entrypoint=rm",
            IMAGE,
            "-rf",
            "/made/city",
        )


@pytest.fixture(scope="module")
def password(installation, tmp_path_factory) -> str:
    """What the supplier that is registered logs in with."""
    folder = tmp_path_factory.mktemp("registry")
    for kind, rows in REGISTRY.items():
        (folder / f"{kind}.csv").write_text(rows, encoding="utf-8")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    installation.compose(
        "run", "--rm", "-T", f"--volume={folder}:/registry:ro", "jieshui", "import", "/registry"
    )
    installation.jieshui("broker", "add-supplier", SUPPLIER)
    installation.compose("kill", "--signal=HUP", "broker")
    return installation.read(f"{SUPPLIER}/password")


@pytest.fixture(scope="module")
def trusted(installation) -> ssl.SSLContext:
    """Trusts the authority that prepare.sh made, and nobody else."""
    return ssl.create_default_context(cadata=installation.read("broker/ca.pem"))


@pytest.fixture
def api(installation, trusted) -> Iterator[httpx.Client]:
    key = installation.jieshui("key", "create", "test", "bureau").split()[-1]
    address = f"https://localhost:{installation.https_port}"
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=address, verify=trusted, headers=headers, timeout=30) as client:
        yield client


def publish(installation: Installation, trusted: ssl.SSLContext, password: str) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set(SUPPLIER, password)
    client.tls_set_context(trusted)
    client.connect("localhost", installation.mqtt_port)
    client.loop_start()
    for hour in range(3):
        said = f'{{"at":"2026-09-01T0{hour}:00:00+08:00","register_m3":{100 + hour}.5}}'
        topic = f"water/v1/{SUPPLIER}/jieshui/M-1/reading"
        client.publish(topic, said, qos=1).wait_for_publish(30)
    client.disconnect()
    client.loop_stop()


def test_what_a_supplier_sends_over_tls_is_answered_over_tls(installation, trusted, password, api):
    publish(installation, trusted, password)

    def stored() -> int:
        (row,) = api.get("/api/v1/ingest/status").raise_for_status().json()["items"] or [None]
        return row["readings"]["stored"] if row and row["balanced"] else 0

    wait_for("not stored", lambda: stored() == 3)
    span = {"start": "2026-08-31T00:00:00Z", "end": "2026-09-02T00:00:00Z"}
    readings = api.get("/api/v1/meters/M-1/readings", params=span).raise_for_status().json()
    assert [row["register_m3"] for row in readings["items"]] == [100.5, 101.5, 102.5]


def test_two_workers_share_the_stream_and_everything_is_healthy(installation):
    states = installation.states()
    assert {"ingest-1", "ingest-2", "analysis-1", "api-1", "watch-1", "proxy-1"} <= set(states)
    assert set(states.values()) == {"healthy"}


def test_metrics_stay_inside(api):
    assert api.get("/metrics").status_code == 404
    assert api.get("/readyz").status_code == 200
