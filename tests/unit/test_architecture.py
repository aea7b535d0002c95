import ast
import re
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NOT_PACKAGES = {"tests", "docs", "bench", "deploy", "var", "build", "dist"}


def packages_on_disk() -> set[str]:
    folders = (p.name for p in ROOT.iterdir() if (p / "__init__.py").exists())
    return {name for name in folders if name not in NOT_PACKAGES and not name.startswith(".")}


def test_shipped_linted_and_existing_packages_are_the_same():
    shipped = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    linted = set(PROJECT["tool"]["importlinter"]["root_packages"])
    assert packages_on_disk() == shipped == linted


def test_every_package_stands_in_the_layers_or_outside_by_contract():
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    layers = next(c for c in contracts if c["type"] == "layers")["layers"]
    in_layers = {name.strip() for layer in layers for name in layer.split("|")}
    assert in_layers | {"simulators"} == packages_on_disk()


def test_no_other_distribution_owns_our_package_names():
    owners = packages_distributions()
    assert {name: set(owners.get(name, ["jieshui"])) for name in packages_on_disk()} == {
        name: {"jieshui"} for name in packages_on_disk()
    }


@pytest.mark.parametrize("call", ["now", "utcnow", "today"])
def test_analytics_reads_no_clock(call):
    for path in (ROOT / "analytics").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr == call), path


def test_the_lock_names_hashes_and_no_addresses():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    pinned = [line for line in text.splitlines() if "==" in line]
    assert len(pinned) > 50
    assert text.count("--hash=sha256:") >= len(pinned)


def test_every_direct_dependency_is_pinned():
    def normal(name: str) -> str:
        return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", name)[0]).lower()

    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = {normal(line) for line in text.splitlines() if "==" in line}
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    assert {normal(name) for name in wanted} <= pinned
