"""What the image holds and how it behaves; `make test-image` builds it and runs this."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

IMAGE = os.environ["JIESHUI_TEST_IMAGE"]
CONTAINED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
CONFIGURATION = "/var/lib/jieshui/jieshui.toml"
PATIENCE_S = 90
PREPARE = Path(__file__).parents[2] / "deploy" / "prepare.sh"


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


@pytest.fixture
def city(tmp_path) -> Iterator[Path]:
    """A folder for deploy/prepare.sh; its files belong to the containers' user."""
    folder = tmp_path / "city"
    yield folder
    inside(folder, "rm -rf /city/*")


def inside(folder: Path, script: str, user: str = "0:0") -> list[str]:
    """The lines that a script in the image says of a folder, seen as /city."""
    seen = (f"--volume={folder}:/city", "--workdir=/city", "--network=none", f"--user={user}")
    return docker("run", "--rm", *seen, "--entrypoint=sh", IMAGE, "-euc", script).splitlines()


def prepare(folder: Path) -> None:
    where = {"JIESHUI_CITY": str(folder), "JIESHUI_IMAGE": IMAGE}
    subprocess.run([PREPARE, "water.example"], env=os.environ | where, check=True)


def test_preparing_again_changes_nothing(city):
    prepare(city)
    first = inside(city, "find . -type f -exec sha256sum {} + | sort")
    prepare(city)
    assert inside(city, "find . -type f -exec sha256sum {} + | sort") == first
    assert {line.split()[1] for line in first} >= {"./jieshui.toml", "./broker/mosquitto.conf"}


def test_what_is_secret_is_read_by_our_user_alone(city):
    prepare(city)
    open_to_all = inside(city, "find . -type f -perm /o=r ! -name '*.pem'")
    assert open_to_all == []
    assert inside(city, "find . ! -user 1883") == []
    readable = "cat jieshui.toml secrets/influx-token broker/server.key >/dev/null && echo yes"
    assert inside(city, readable, user="1883:1883") == ["yes"]


def test_the_name_of_the_machine_is_in_the_certificate_and_the_client_id_is_its_own(city):
    prepare(city)
    said = inside(
        city,
        "python -c 'import ssl; print(ssl._ssl._test_decode_cert(\"broker/server.pem\"))';"
        "grep ^client_id jieshui.toml",
    )
    assert "('DNS', 'water.example')" in said[0]
    assert "('DNS', 'broker')" in said[0]
    assert '"jieshui"' not in said[1]
