"""What deploy/ ships fits together and fits the program: names, ports, secrets, hardening."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from sqlalchemy import make_url
from typer.testing import CliRunner

from jieshui.config import load_settings
from jieshui.main import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "JIESHUI_IMAGE" in service["image"]}
ONE_SHOT = {name for name, service in SERVICES.items() if service["restart"] == "no"}
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@pytest.fixture
def settings():
    return load_settings(DEPLOY / "jieshui.toml")


def granted(service: str) -> set[str]:
    return {f"/run/secrets/{name}" for name in SERVICES[service].get("secrets", [])}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_privilege_and_writes_only_where_it_is_said(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_a_server_is_started_again_is_limited_and_keeps_its_log_small(name):
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["mem_limit"]
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(OURS)))
def test_the_image_of_another_project_has_a_version(name):
    assert re.search(r":\d[\d.]*$", SERVICES[name]["image"])


def test_every_secret_and_volume_that_is_named_is_declared():
    for service in SERVICES.values():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{[^}]*\}", "./", volume).split(":")[0]
            assert source.startswith("./") or source in COMPOSE["volumes"]
            if source.startswith("./") and "$" not in volume:
                assert (DEPLOY / source).exists()


@pytest.mark.parametrize("name", [name for name in OURS if "entrypoint" not in OURS[name]])
def test_what_a_container_runs_is_a_command(name):
    words = [word for word in OURS[name]["command"] if "/" not in word]
    outcome = CliRunner().invoke(app, [*words, "--help"])
    assert outcome.exit_code == 0, outcome.output


def test_hosts_in_the_configuration_are_services(settings):
    hosts = {settings.mqtt.host, urlsplit(settings.influx.url).hostname}
    hosts |= {make_url(settings.registry_url).host}
    hosts |= {urlsplit(target).hostname for target in settings.watch.targets.values()}
    assert hosts <= set(SERVICES)


def test_every_process_is_watched_on_the_port_where_it_listens(settings):
    watched = {name: urlsplit(address).port for name, address in settings.watch.targets.items()}
    assert watched == {
        "ingest": settings.ingest.port,
        "analysis": settings.analysis.port,
        "api": settings.api.port,
    }
    hosts = {settings.ingest.host, settings.analysis.host, settings.api.host, settings.watch.host}
    assert hosts == {"0.0.0.0"}


def test_a_process_is_given_the_secrets_that_it_opens_and_no_others(settings):
    stores = {str(settings.influx.token_file), str(settings.store.registry_password_file)}
    broker = {str(settings.mqtt.password_file), str(settings.mqtt.ca_file)}
    assert granted("init") == granted("analysis") == granted("api") == stores
    assert granted("ingest") == stores | broker
    assert granted("watch") == {str(path) for path in settings.watch.certificates}


def test_the_proxy_speaks_to_the_api_and_hides_its_metrics(settings):
    conf = (DEPLOY / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    assert f"http://api:{settings.api.port};" in conf
    assert re.search(r"location = /metrics \{\s*return 404;", conf)
    named = set(re.findall(r"/run/secrets/[\w-]+", conf))
    assert named == granted("proxy")
    assert settings.api.secure_cookies


def test_a_setting_of_the_compose_file_is_a_default_or_described():
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    described = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    variables = set(re.findall(r"\$\{(\w+)", text))
    assert variables == set(re.findall(r"\$\{(\w+):-", text))
    assert {name for name in variables if name not in described} == set()


def blocks(path: Path) -> dict[str, str]:
    """Requirement of a lock file → it with its hashes."""
    parts = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip())
    return {part.split(" \\")[0]: part for part in parts}


def test_the_image_installs_what_is_tested_and_no_tools():
    image, tested = blocks(DEPLOY / "requirements.lock"), blocks(ROOT / "requirements.lock")
    assert image.items() <= tested.items()
    names = {line.split("==")[0] for line in image}
    assert "psycopg-binary" in names
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in project["dependencies"]:
        assert re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower() in names
    assert not names & {"pytest", "ruff", "pyright", "playwright", "hatchling"}


def test_the_image_is_built_from_every_package():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = packages["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name}" for name in packages} <= set(kept)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_what_a_unit_runs_is_a_command(unit):
    process = re.search(
        r"^ExecStart=/opt/jieshui/bin/jieshui serve (\w+)$", unit.read_text(), re.MULTILINE
    )
    assert process
    assert CliRunner().invoke(app, ["serve", process[1], "--help"]).exit_code == 0


@pytest.fixture
def units(missing, tmp_path):
    """The units in a folder of the test's own, running a program that is there."""
    if not shutil.which("systemd-analyze"):
        missing("systemd-analyze is not on this machine (Debian's package systemd)")
    folder = shutil.copytree(DEPLOY / "systemd", tmp_path / "systemd")
    for path in folder.glob("*.service"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("/opt/jieshui/bin/jieshui", sys.executable), encoding="utf-8")
    return folder


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], check=False, capture_output=True, text=True
    )


def instance(unit: str) -> str:
    return unit.replace("@.", "@9101.")


def test_systemd_understands_every_unit(units):
    names = [*(instance(path.name) for path in UNITS), "jieshui.target"]
    verified = analyze("verify", *(units / name for name in names))
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize("unit", [path.name for path in UNITS])
def test_systemd_finds_little_exposed(units, unit):
    judged = analyze("security", "--offline=true", "--threshold=20", units / instance(unit))
    assert judged.returncode == 0, judged.stdout[-300:]


def test_the_target_starts_every_process():
    wanted = re.search(
        r"^Wants=(.+)$", (DEPLOY / "systemd" / "jieshui.target").read_text(), re.MULTILINE
    )
    assert sorted(wanted[1].split()) == sorted(instance(path.name) for path in UNITS)


@pytest.mark.parametrize("path", sorted((DEPLOY / "grafana" / "dashboards").iterdir()))
def test_a_panel_asks_a_data_source_that_is_provisioned(path):
    folder = DEPLOY / "grafana" / "provisioning" / "datasources"
    sources = yaml.safe_load((folder / "jieshui.yaml").read_text(encoding="utf-8"))["datasources"]
    known = {(source["type"], source["uid"]) for source in sources}
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            assert (target["datasource"]["type"], target["datasource"]["uid"]) in known
