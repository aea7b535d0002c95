"""What the image holds and how it behaves; `make test-image` builds it and runs this."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator

import pytest

IMAGE = os.environ["JIESHUI_TEST_IMAGE"]
CONTAINED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
CONFIGURATION = "/var/lib/jieshui/jieshui.toml"
PATIENCE_S = 90


def docker(*arguments: str, status: int = 0) -> str:
    """Standard output of a docker command, which must end with `status`."""
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == status, done.stderr + done.stdout
    return done.stdout.strip()


def shell(script: str) -> str:
    return docker(
        "run", "--rm", *CONTAINED, "--network=none", "--entrypoint=sh", IMAGE, "-c", script
    )


@pytest.fixture
def volume() -> Iterator[str]:
    name = f"jieshui-test-{uuid.uuid4().hex[:8]}"
    docker("volume", "create", name)
    yield f"--volume={name}:/var/lib/jieshui"
    docker("volume", "rm", "--force", name)


@pytest.fixture
def api(volume) -> Iterator[str]:
    """A container that serves the API on the embedded stores, contained as in production."""
    common = (*CONTAINED, volume, f"--env=JIESHUI_CONFIG={CONFIGURATION}")
    docker("run", "--rm", *common, IMAGE, "init", CONFIGURATION)
    container = docker("run", "--detach", *common, "--health-interval=2s", IMAGE, "serve", "api")
    yield container
    docker("rm", "--force", container)


def health(container: str) -> str:
    return json.loads(docker("inspect", container))[0]["State"]["Health"]["Status"]


def test_it_runs_as_nobody_in_particular():
    assert shell("id -u; id -g").split() == ["1883", "1883"]


def test_it_can_write_its_own_folder_and_tmp_only():
    tried = "/opt/jieshui /etc/jieshui /usr/local /var/lib/jieshui /tmp"
    written = shell(f"for place in {tried}; do touch $place/x 2>/dev/null && echo $place; done; :")
    assert written.split() == ["/var/lib/jieshui", "/tmp"]


def test_its_programs_bring_no_tools_to_build_or_install_with():
    tools = shell("cd /opt/jieshui/bin; ls -d pip* hatchling ruff pytest pyright 2>/dev/null; :")
    assert tools == ""
    assert shell("command -v cc gcc make git curl || :") == ""


def test_it_says_its_version():
    assert docker("run", "--rm", *CONTAINED, IMAGE, "--version").count(".") == 2


def test_a_process_becomes_healthy_and_stops_when_told(api):
    deadline = time.monotonic() + PATIENCE_S
    while health(api) != "healthy":
        assert time.monotonic() < deadline, docker("logs", api)
        time.sleep(0.5)
    assert docker("exec", api, "jieshui", "health", "api") == "api: works"
    docker("exec", api, "jieshui", "health", "ingest", status=1)
    docker("stop", "--time=20", api)
    assert json.loads(docker("inspect", api))[0]["State"]["ExitCode"] == 0
