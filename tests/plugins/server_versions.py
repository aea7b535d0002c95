"""The head of a test run says which real servers are at hand, and where they come from."""

import subprocess
from pathlib import Path

from real_influxdb import VARIABLE as INFLUXDB
from real_mosquitto import VARIABLE as MOSQUITTO
from real_postgresql import VARIABLE as POSTGRESQL
from real_servers import find_address, find_docker, only_docker

from jieshui.broker import find_mosquitto
from jieshui.demo.servers import find_influxd, find_postgresql


def pytest_report_header() -> str:
    programs = find_postgresql()
    servers = (
        _say("InfluxDB", INFLUXDB, find_influxd(), "version"),
        _say("Mosquitto", MOSQUITTO, find_mosquitto(), "-h"),
        _say("PostgreSQL", POSTGRESQL, programs and programs / "postgres", "--version"),
        f"Docker: {find_docker() or 'no'}",
    )
    return "; ".join(servers)


def _say(name: str, variable: str, program: Path | str | None, option: str) -> str:
    if find_address(variable):
        return f"{name}: at {variable}"
    if only_docker():
        return f"{name}: in Docker"
    if program is None:
        return f"{name}: no"
    shown = subprocess.run([program, option], capture_output=True, text=True, check=False).stdout
    return f"{name}: {shown.splitlines()[0]}"
