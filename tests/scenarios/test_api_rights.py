"""Who may ask what, and that nobody sees another's rows: every route, every list, every page."""

import json

import pytest

SPAN = "start=2026-09-13T00:00:00%2B08:00&end=2026-09-16T00:00:00%2B08:00"
DAYS = "first=2026-09-01&last=2026-09-15"

# Path → what every row of it, seen by a supplier, names of that supplier.
LISTS = {
    "/users": "id",
    "/users?level=over": "id",
    "/plan-status": "id",
    "/zones": "id",
    "/meters": "id",
    "/alerts": "subject_id",
    "/alerts?state=all": "subject_id",
    "/edits": "meter_id",
    "/edits?state=approved": "meter_id",
    "/meter-events": "supplier_id",
    f"/billing?{DAYS}": "meter_id",
    "/ingest/status": "supplier",
    "/quarantine": "supplier",
    f"/conflicts?{SPAN}": "meter_id",
}
ONE_OF = {  # path below a row of the supplier
    "/users/user-{}-0": None,
    f"/users/user-{{}}-0/volumes?{DAYS}": "meter_id",
    f"/users/user-{{}}-0/volumes?by=hourly&{SPAN}": "meter_id",
    "/zones/zone-{}-0": None,
    f"/zones/zone-{{}}-0/days?{DAYS}": None,
    f"/zones/zone-{{}}-0/nights?{DAYS}": None,
    "/meters/meter-{}-0": None,
    f"/meters/meter-{{}}-0/readings?{SPAN}": "meter_id",
    f"/meters/meter-{{}}-0/series?{SPAN}": None,
    f"/meters/meter-{{}}-0/volumes?{DAYS}": "meter_id",
    f"/meters/meter-{{}}-0/volumes?by=hourly&{SPAN}": "meter_id",
}
NOT_ROWS_OF_A_SUPPLIER = {"/city/rates", "/accounts", "/keys", "/ingest/replays"}


def _list(client, path):
    """Every row of a list, one a page."""
    rows, cursor = [], ""
    for _ in range(100):
        separator = "&" if "?" in path else "?"
        answer = client.get(f"/api/v1{path}{separator}limit=1{cursor}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= 1 or "/series" in path
        rows += page["items"]
        if page["next"] is None:
            return rows
        cursor = f"&cursor={page['next']}"
    pytest.fail(f"{path} never ends")


def test_every_list_of_the_api_is_looked_at_here(api_city):
    schema = api_city.app.openapi()
    lists = {
        path.removeprefix("/api/v1")
        for path, methods in schema["paths"].items()
        if "Listing" in json.dumps(methods.get("get", {}))
    }
    named = {path.split("?")[0] for path in LISTS} | NOT_ROWS_OF_A_SUPPLIER
    below = {path.split("?")[0].replace("meter-{}-0", "{meter_id}") for path in ONE_OF}
    below = {path.replace("user-{}-0", "{user_id}") for path in below}
    below = {path.replace("zone-{}-0", "{zone_id}") for path in below}
    assert lists <= named | below
    assert {"/users", "/meters/{meter_id}/readings"} <= lists


@pytest.mark.parametrize("path", LISTS)
def test_a_supplier_never_sees_the_others_rows_on_any_page(api_city, path):
    everything = len(_list(api_city.client("bureau"), path))
    seen = 0
    for own, other in (("north", "south"), ("south", "north")):
        rows = _list(api_city.client(own), path)
        assert rows
        assert all(own in row[LISTS[path]] for row in rows)
        assert other not in json.dumps(rows)
        seen += len(rows)
    assert seen == everything


@pytest.mark.parametrize("path", LISTS)
def test_nor_in_a_download(api_city, path):
    separator = "&" if "?" in path else "?"
    text = api_city.client("north").get(f"/api/v1{path}{separator}format=csv").text
    assert "north" in text
    assert "south" not in text


@pytest.mark.parametrize("path", ONE_OF)
def test_the_others_ids_are_not_found_and_the_own_are(api_city, path):
    client = api_city.client("north")
    assert client.get(f"/api/v1{path.format('north')}").status_code == 200
    refused = client.get(f"/api/v1{path.format('south')}")
    unknown = client.get(f"/api/v1{path.format('nowhere')}")
    assert refused.status_code == unknown.status_code == 404
    assert refused.json()["detail"] == unknown.json()["detail"]
    if ONE_OF[path]:
        rows = _list(client, path.format("north"))
        assert len(rows) > 1
        assert {row[ONE_OF[path]] for row in rows} == {"meter-north-0"}


def test_an_alert_of_the_others_meter_is_not_found(api_city):
    client = api_city.client("north")
    own = {row["id"] for row in _list(client, "/alerts")}
    statuses = {
        number: client.get(f"/api/v1/alerts/{number}").status_code for number in range(1, 5)
    }
    assert statuses == {number: 200 if number in own else 404 for number in range(1, 5)}


def test_a_user_sees_itself_and_its_meter(api_city):
    client = api_city.client("user")
    assert [row["id"] for row in _list(client, "/users")] == ["user-north-0"]
    assert [row["id"] for row in _list(client, "/meters")] == ["meter-north-0"]
    assert _list(client, "/zones") == []
    assert [row["subject_id"] for row in _list(client, "/alerts")] == ["meter-north-0"]
    assert {row["meter_id"] for row in _list(client, f"/conflicts?{SPAN}")} == {"meter-north-0"}
    assert client.get("/api/v1/users/user-north-1").status_code == 404
    assert client.get("/api/v1/home").json()["users"] == 1


# What each role gets: administrator, bureau, utility, supplier, user.
ROLES = ("administrator", "bureau", "utility", "north", "user")
MATRIX = {
    ("GET", "/me"): (200, 200, 200, 200, 200),
    ("GET", "/home"): (200, 200, 200, 200, 200),
    ("GET", "/users"): (200, 200, 200, 200, 200),
    ("GET", "/city/rates"): (200, 200, 200, 200, 200),
    ("GET", "/ingest/status"): (200, 200, 200, 200, 403),
    ("GET", "/quarantine"): (200, 200, 200, 200, 403),
    ("GET", f"/conflicts?{SPAN}"): (200, 200, 200, 200, 200),
    ("POST", "/readings"): (422, 403, 403, 202, 403),
    ("POST", "/readings?supplier=north"): (202, 403, 403, 202, 403),
    ("POST", "/readings?supplier=south"): (202, 403, 403, 403, 403),
    ("POST", "/readings?supplier=nobody"): (422, 403, 403, 403, 403),
    ("POST", "/quarantine/rerun"): (202, 403, 202, 403, 403),
    ("GET", "/jobs/1"): (200, 403, 200, 403, 403),
    ("GET", "/ingest/replays"): (200, 403, 200, 403, 403),
    ("POST", "/ingest/replays"): (422, 403, 422, 403, 403),
    ("GET", "/ingest/replays/99"): (404, 403, 404, 403, 403),
    ("POST", "/ingest/replays/99/adopt"): (404, 403, 404, 403, 403),
    ("POST", "/alerts/1/acknowledge"): (200, 200, 200, 403, 403),
    ("GET", "/accounts"): (200, 403, 403, 403, 403),
    ("POST", "/accounts"): (201, 403, 403, 403, 403),
    ("POST", "/accounts/li/reset-password"): (200, 403, 403, 403, 403),
    ("POST", "/accounts/li/disable"): (204, 403, 403, 403, 403),
    ("POST", "/accounts/li/enable"): (204, 403, 403, 403, 403),
    ("POST", "/accounts/nobody/enable"): (404, 403, 403, 403, 403),
    ("GET", "/keys"): (200, 403, 403, 403, 403),
    ("POST", "/keys"): (201, 403, 403, 403, 403),
    ("DELETE", "/keys/none"): (404, 403, 403, 403, 403),
}
BODIES = {
    "/accounts": {"login": "li", "name": "李", "role": "bureau"},
    "/keys": {"name": "k", "role": "bureau"},
}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_what_the_table_says(open_api_city, door, role):
    city = open_api_city(door=door)
    client = city.client(role)
    city.client("administrator").post("/api/v1/quarantine/rerun", json={})
    column = ROLES.index(role)
    answers = {
        (method, path): client.request(
            method, f"/api/v1{path}", json=BODIES.get(path, {}) if method == "POST" else None
        ).status_code
        for method, path in MATRIX
    }
    assert answers == {what: wanted[column] for what, wanted in MATRIX.items()}


def test_nobody_gets_anything_without_a_key_or_session(api_city):
    client = api_city.client()
    schema = api_city.app.openapi()["paths"]
    for path, methods in schema.items():
        for method in methods:
            if path == "/api/v1/session":
                continue
            answer = client.request(
                method, path.replace("{job_id}", "1").replace("{alert_id}", "1")
            )
            assert answer.status_code in {401, 422}, (method, path)
            if answer.status_code == 401:
                assert answer.headers["www-authenticate"].startswith("Bearer")
    assert client.get("/api/v1/users").status_code == 401


def test_a_revoked_key_opens_nothing(open_api_city):
    city = open_api_city()
    administrator = city.client("administrator")
    made = administrator.post("/api/v1/keys", json={"name": "k", "role": "bureau"}).json()
    bearer = {"Authorization": f"Bearer {made['key']}"}
    assert city.client().get("/api/v1/users", headers=bearer).status_code == 200
    assert administrator.delete(f"/api/v1/keys/{made['id']}").status_code == 204
    assert city.client().get("/api/v1/users", headers=bearer).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "jsk_wrong"},
        {"X-API-Key": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"X-API-Key": "é".encode()},
    ],
    ids=["unknown", "empty", "no-token", "basic", "not-ascii"],
)
def test_a_wrong_key_is_refused(api_city, headers):
    assert api_city.client().get("/api/v1/users", headers=headers).status_code == 401


def test_keys_and_hashes_are_never_listed(api_city):
    client = api_city.client("administrator")
    text = client.get("/api/v1/keys").text + client.get("/api/v1/accounts").text
    assert "hash" not in text
    assert all(key not in text for key in api_city.keys.values())
