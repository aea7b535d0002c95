"""How the API speaks: problems, instants, pages, CSV, headers, health and metrics."""

import csv
import io
from pathlib import Path
from urllib.parse import urlencode

import pytest
from structlog.testing import capture_logs

from api.problems import KINDS

V1 = "/api/v1"
READINGS = f"{V1}/meters/meter-north-0/readings"
SPAN = {"start": "2026-09-14T00:00:00+08:00", "end": "2026-09-15T00:00:00+08:00"}


@pytest.fixture
def client(api_city):
    return api_city.client("administrator")


def test_every_kind_of_problem_has_its_own_lasting_type():
    types = [kind.type for kind in KINDS]
    assert len(set(types)) == len(types)
    assert types[0] == "urn:jieshui:problem:bad-request"


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "/users?cursor=x", 400, "bad-cursor"),
        ("GET", "/alerts?cursor=WzFd", 400, "bad-cursor"),
        ("GET", "/city/rates?cursor=WzFd", 400, "bad-cursor"),
        ("GET", "/quarantine?cursor=x", 400, "bad-cursor"),
        ("GET", f"/conflicts?{urlencode(SPAN)}&cursor=x", 400, "bad-cursor"),
        ("GET", "/conflicts", 422, "invalid"),
        ("GET", "/users/%00", 400, "bad-request"),
        ("GET", "/users/nobody", 404, "not-found"),
        ("GET", "/nothing", 404, "not-found"),
        ("PATCH", "/users", 405, "method-not-allowed"),
        ("GET", "/users?limit=0", 422, "invalid"),
        ("GET", "/users?level=blue", 422, "invalid"),
        ("GET", "/alerts/99999999999999999999", 422, "invalid"),
        ("GET", "/zones/zone-north-0/days?first=2026-02-01&last=2026-01-01", 422, "invalid"),
        ("GET", "/zones/zone-north-0/days?first=9999-12-31&last=9999-12-31", 422, "invalid"),
        ("POST", "/accounts", 422, "invalid"),
    ],
)
def test_an_error_is_a_problem_document(client, method, path, status, name):
    answer = client.request(method, V1 + path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:jieshui:problem:{name}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["instance"].startswith(V1)


def test_a_refused_account_says_why_in_a_sentence(client):
    body = {"login": "li", "name": "李", "role": "supplier"}
    problem = client.post(f"{V1}/accounts", json=body).json()
    assert (problem["status"], "scope" in problem["detail"]) == (422, True)


def test_a_bug_is_a_problem_without_its_innards(open_api_city, monkeypatch):
    city = open_api_city()

    def fail(*_arguments, **_options):
        raise RuntimeError("secret innards")

    monkeypatch.setattr(city.accounts, "accounts", fail)
    client = city.client("administrator", raise_server_exceptions=False)
    with capture_logs() as logs:
        answer = client.get(f"{V1}/accounts")
    assert [entry["event"] for entry in logs] == ["request failed"]
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:jieshui:problem:internal")
    assert "innards" not in answer.text


@pytest.mark.parametrize("start", ["2026-09-14T00:00:00", "2026-09-14", "1789000000", "yesterday"])
def test_an_instant_without_its_zone_is_refused_with_a_sentence(client, start):
    answer = client.get(READINGS, params=SPAN | {"start": start})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["where"] == "query.start"
    assert "2026-09-15T00:00:00+08:00" in error["says"]


def test_an_instant_may_have_lost_its_plus_in_the_address(client):
    address = f"{READINGS}?start=2026-09-14T00:00:00+08:00&end=2026-09-15T00:00:00%2B08:00"
    rows = client.get(address).json()["items"]
    assert [row["at"] for row in rows] == [
        "2026-09-13T16:00:00Z", "2026-09-13T17:00:00Z", "2026-09-13T18:00:00Z"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "span",
    [
        pytest.param({"end": "2026-09-14T00:00:00+08:00"}, id="empty"),
        pytest.param({"start": "2020-09-14T00:00:00+08:00"}, id="too-long"),
        pytest.param({"start": "0001-01-01T00:00:00+08:00"}, id="before-the-calendar"),
    ],
)
def test_a_period_that_cannot_be_answered_is_refused(client, span):
    assert client.get(READINGS, params=SPAN | span).status_code == 422


def test_what_is_not_a_number_is_null(client):
    flows = [row["flow_m3_h"] for row in client.get(READINGS, params=SPAN).json()["items"]]
    assert flows == [4.0, None, 4.0]
    users = client.get(f"{V1}/users").json()["items"]
    assert {user["use_rate"] for user in users} == {None}


def test_volumes_come_by_day_or_by_hour_in_time_order(client):
    path = f"{V1}/users/user-north-0/volumes"
    days = client.get(path, params={"first": "2026-09-13", "last": "2026-09-14"}).json()["items"]
    assert [(row["day"], row["volume_m3"]) for row in days] == [
        ("2026-09-13", 2.0), ("2026-09-14", 2.0)
    ]  # fmt: skip
    hours = client.get(path, params=SPAN | {"by": "hourly", "limit": 2}).json()
    assert [row["start"] for row in hours["items"]] == [
        "2026-09-13T16:00:00Z", "2026-09-13T17:00:00Z"
    ]  # fmt: skip
    more = SPAN | {"by": "hourly", "cursor": hours["next"]}
    assert [row["start"] for row in client.get(path, params=more).json()["items"]] == [
        "2026-09-13T18:00:00Z"
    ]


@pytest.mark.parametrize(
    "asked", [{"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}]
)
def test_a_list_downloads_whole_as_csv_that_excel_reads(client, asked):
    params = asked.get("params", {}) | {"limit": "1"}
    answer = client.get(f"{V1}/users", params=params, headers=asked.get("headers", {}))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="users.csv"' in answer.headers["content-disposition"]
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["id"] for row in rows] == [
        "user-north-0", "user-north-1", "user-south-0", "user-south-1"
    ]  # fmt: skip
    assert rows[0]["name"] == "'=HYPERLINK(1)"
    assert (rows[0]["use_rate"], rows[0]["used_m3"]) == ("", "11.0")


def test_a_download_turns_every_page(client, monkeypatch):
    monkeypatch.setattr("api.tables.CSV_PAGE", 1)
    lines = client.get(READINGS, params=SPAN | {"format": "csv"}).text.splitlines()
    assert len(lines) == 1 + 3


def test_a_value_that_contradicts_another_one_is_listed_with_both(client):
    rows = client.get(f"{V1}/conflicts", params=SPAN | {"limit": 12}).json()
    assert rows["next"] is None
    assert len(rows["items"]) == 12, "four meters, three instants"
    assert rows["items"][0] == {
        "meter_id": "meter-north-0", "at": "2026-09-13T16:00:00Z", "quantity": "register_m3",
        "kept": 1.5, "offered": 2.5, "received_at": "2026-09-13T16:00:09Z",
        "decision": None, "reason": None, "decided_by": None, "decided_at": None, "edit_id": None,
    }  # fmt: skip
    instants = [row["at"] for row in rows["items"]]
    assert instants == sorted(instants)
    hour = SPAN | {"end": "2026-09-14T01:00:00+08:00"}
    assert len(client.get(f"{V1}/conflicts", params=hour).json()["items"]) == 4


def test_an_alert_is_acknowledged_once(open_api_city):
    client = open_api_city().client("bureau")
    answer = client.post(f"{V1}/alerts/1/acknowledge", json={"reason": "已派人"})
    assert answer.json()["state"] == "acknowledged"
    assert "已派人" in [event["reason"] for event in answer.json()["events"]]
    again = client.post(f"{V1}/alerts/1/acknowledge", json={"reason": "x"})
    assert (again.status_code, again.json()["type"]) == (409, "urn:jieshui:problem:conflict")
    missing = client.post(f"{V1}/alerts/99/acknowledge", json={"reason": "x"})
    assert missing.status_code == 404


def test_a_rerun_of_quarantine_is_a_job_to_look_at(open_api_city):
    client = open_api_city().client("utility")
    asked = client.post(f"{V1}/quarantine/rerun", json={"supplier": "north"})
    assert asked.status_code == 202
    job = client.get(f"{V1}/jobs/{asked.json()['id']}").json()
    assert (job["kind"], job["arguments"], job["state"]) == (
        "rerun_quarantine", {"supplier": "north"}, "waiting"
    )  # fmt: skip
    assert client.get(f"{V1}/jobs/999").status_code == 404


def test_the_api_is_described_in_chinese_first_without_foreign_scripts(client):
    schema = client.get("/api/openapi.json").json()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert "\u4e00" <= operation["summary"][0] <= "\u9fff", (method, path)
            assert operation["tags"], (method, path)
    assert "Problem" in schema["components"]["schemas"]
    assert client.get("/docs").status_code == 404


def test_answers_carry_security_headers(open_api_city):
    answer = open_api_city().client("bureau").get(f"{V1}/users")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers
    secure = open_api_city(secure_cookies=True).client("bureau").get(f"{V1}/users")
    assert "strict-transport-security" in secure.headers


def test_alive_and_ready(open_api_city):
    def broken():
        raise OSError("no route to host")

    healthy = open_api_city(checks={"registry": lambda: None}).client()
    assert healthy.get("/healthz").json() == {"status": "alive"}
    assert healthy.get("/readyz").status_code == 200
    assert healthy.get("/readyz").headers["cache-control"] == "no-store"
    answer = open_api_city(checks={"registry": lambda: None, "readings": broken}).client()
    answer = answer.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"registry": "ready", "readings": "not ready"}
    assert "no route" not in answer.text


def test_requests_are_counted_by_route_and_not_by_path(open_api_city):
    city = open_api_city()
    client = city.client("bureau")
    for path in ("user-north-0", "nobody"):
        client.get(f"{V1}/users/{path}")
    client.get("/wp-login.php")
    client.request("BREW", f"{V1}/users")
    text = client.get("/metrics").text
    route = f'route="{V1}/users/{{user_id}}"'
    assert f'jieshui_http_requests_total{{method="GET",{route},status="200"}} 1.0' in text
    assert f'jieshui_http_requests_total{{method="GET",{route},status="404"}} 1.0' in text
    assert f'jieshui_http_request_seconds_count{{method="GET",{route}}} 2.0' in text
    assert 'method="GET",route="other",status="404"' in text
    assert "wp-login" not in text
    assert "BREW" not in text


def test_the_documentation_names_every_route_and_problem(api_city):
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    for path, methods in api_city.app.openapi()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in text
    for kind in KINDS:
        assert f"`{kind.name}`" in text


def test_a_misspelt_parameter_is_refused_and_not_ignored(client):
    answer = client.get("/api/v1/users?lvel=over")
    assert answer.status_code == 422
    assert "lvel" in answer.json()["detail"]
    assert "level" in answer.json()["detail"]
    assert client.get("/api/v1/users?level=over").status_code == 200


def test_a_misspelt_field_of_a_rerun_does_not_run_everything(client):
    answer = client.post("/api/v1/quarantine/rerun", json={"reson": "future"})
    assert answer.status_code == 422
