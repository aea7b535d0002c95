"""The real servers understand what the dashboards ask; the role that asks sees no more."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from influxdb_client import InfluxDBClient
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from storage.influx import InfluxSettings, open_volumes
from water import columns

pytestmark = pytest.mark.servers

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
HOUR = datetime(2026, 9, 1, 1, tzinfo=UTC)
FROM, TO = "2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z"


def queries(field: str) -> dict[str, str]:
    """Panel → what it asks, of the panels that ask in one language."""
    boards = (json.loads(path.read_text("utf-8")) for path in (GRAFANA / "dashboards").iterdir())
    panels = [panel for board in boards for panel in board["panels"]]
    return {
        panel["title"]: target[field]
        for panel in panels
        for target in panel["targets"]
        if field in target
    }


def variables() -> dict[str, str]:
    """Variable → what it asks the registry."""
    board = json.loads((GRAFANA / "dashboards" / "zones.json").read_text("utf-8"))
    return {one["label"]: one["query"] for one in board["templating"]["list"]}


@pytest.fixture(scope="module")
def bucket(influxdb) -> str:
    """A bucket with three meters' volumes of one hour, the third's known no more, and a reading."""
    name = influxdb.make_bucket("grafana")
    settings = InfluxSettings(influxdb.url, influxdb.token, influxdb.organisation, name)
    volumes = open_volumes(settings)
    for third in (100.0, float("nan")):
        hourly = pd.DataFrame(
            {
                columns.METER_ID: ["m.1", "m.2", "m.3"],
                columns.START: pd.to_datetime([HOUR] * 3).astype("datetime64[s, UTC]"),
                columns.VOLUME_M3: [1.5, 2.25, third],
                columns.MEASURED_SHARE: [1.0, 1.0, 0.0],
                columns.ESTIMATED_SHARE: 0.0,
                columns.MISSING_SHARE: [0.0, 0.0, 1.0],
            }
        )
        daily = pd.DataFrame({name: [] for name in columns.DAILY}).astype(
            {columns.METER_ID: "str", columns.DAY: "datetime64[s]"}
        )
        volumes.save(hourly, daily)
    volumes.close()
    with influx(influxdb) as client, client.write_api() as writer:
        line = f"reading,meter_id=m.1 received_at=1,register_m3=2 {int(HOUR.timestamp())}"
        writer.write(name, record=line, write_precision="s")
    return name


def influx(server) -> InfluxDBClient:
    return InfluxDBClient(server.url, token=server.token, org=server.organisation)


@pytest.mark.parametrize("panel", sorted(queries("query")))
def test_a_flux_panel_shows_the_sum_of_what_is_known(influxdb, bucket, panel):
    flux = queries("query")[panel]
    filled = flux.replace('"water"', f'"{bucket}"')
    filled = filled.replace("v.timeRangeStart", FROM).replace("v.timeRangeStop", TO)
    filled = re.sub(r"\$\{\w+:regex\}", r"m\\.1|m\\.2|m\\.3", filled)
    with influx(influxdb) as client:
        (table,) = client.query_api().query(filled)
    (row,) = table.records
    assert row["_time"] == HOUR
    name = re.search(r'rename\(columns: \{\w+: "(.+)"\}', flux)[1]
    assert row[name] == (1 if name == "读数" else 3.75)


@pytest.fixture
def grafana(migrated_postgres_url, tmp_path, missing) -> Iterator[Connection]:
    """A connection of the role that access.sql makes."""
    psql = shutil.which("psql") or missing("psql is not on this machine (make servers)")
    owner = make_url(migrated_postgres_url)
    password = tmp_path / "password"
    password.write_text("for-the-test\n")
    for _ in range(2):
        subprocess.run(
            [psql, "--quiet", "--set=ON_ERROR_STOP=1",
             f"--file={GRAFANA / 'access.sql'}",
             owner.set(drivername="postgresql").render_as_string(hide_password=False)],
            check=True, env=os.environ | {"GRAFANA_PASSWORD_FILE": str(password)},
        )  # fmt: skip
    role = owner.set(username="grafana", password="for-the-test")
    with create_engine(role, poolclass=NullPool).connect() as connection:
        yield connection
    with create_engine(owner, poolclass=NullPool).begin() as connection:
        connection.execute(text("DROP OWNED BY grafana"))
        connection.execute(text("DROP ROLE grafana"))


def filled(query: str) -> str:
    query = query.replace("$__timeFrom()", f"'{FROM}'").replace("$__timeTo()", f"'{TO}'")
    return query.replace("${zone}", "z1").replace(":", r"\:").replace(r"\:\:", "::")


def test_the_role_may_ask_every_panel_and_variable(grafana):
    asked = queries("rawSql") | variables()
    assert len(asked) > 10
    for name, query in asked.items():
        assert grafana.execute(text(filled(query))).all() == [], name


@pytest.mark.parametrize("table", ["account", "api_key", "water_user", "ledger_quarantine"])
def test_the_role_sees_no_people_keys_or_refused_readings(grafana, table):
    with pytest.raises(ProgrammingError, match="permission denied"):
        grafana.execute(text(f"SELECT * FROM {table}"))


def test_the_role_changes_nothing(grafana):
    with pytest.raises(ProgrammingError, match="permission denied"):
        grafana.execute(text("SET TRANSACTION READ WRITE; DELETE FROM zone"))
