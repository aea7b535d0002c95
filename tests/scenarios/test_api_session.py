"""People's log-in: the cookie, limited attempts, one-time passwords, other sites' requests."""

import time

import pytest

V1 = "/api/v1"
NEW = "a new passphrase, long enough"


class Person:
    """Somebody with an account who logs in with a client of their own."""

    def __init__(self, city, *, role="bureau", scope=None, login="li"):
        self.city, self.login = city, login
        self.password = city.accounts.create_account(login, "李", role, scope, "tests")

    def at(self, **options):
        """A browser that is logged in."""
        client = self.city.client(**options)
        answer = self.log_in(client)
        assert answer.status_code == 200, answer.text
        return client

    def log_in(self, client, password=None):
        body = {"login": self.login, "password": password or self.password}
        return client.post(f"{V1}/session", json=body)

    def change(self, client, old=None, new=NEW):
        answer = client.post(f"{V1}/me/password", json={"old": old or self.password, "new": new})
        if answer.status_code == 204:
            self.password = new
        return answer


@pytest.fixture
def person(open_api_city):
    """A person of the bureau who has changed the one-time password."""
    made = Person(open_api_city())
    assert made.change(made.at()).status_code == 204
    return made


def test_a_log_in_lasts_until_the_log_out(person):
    browser = person.at()
    assert browser.get(f"{V1}/me").json() == {
        "name": "li", "role": "bureau", "scope": None, "must_change": False
    }  # fmt: skip
    assert browser.get(f"{V1}/users").status_code == 200
    assert browser.delete(f"{V1}/session").status_code == 204
    assert browser.get(f"{V1}/users").status_code == 401


def test_a_log_out_ends_the_accounts_sessions_wherever_the_cookie_was_kept(person):
    browser, other = person.at(), person.at()
    kept = f"jieshui_session={browser.cookies['jieshui_session']}"
    assert browser.delete(f"{V1}/session").status_code == 204
    thief = person.city.client()
    assert thief.get(f"{V1}/users", headers={"Cookie": kept}).status_code == 401
    assert other.get(f"{V1}/users").status_code == 401
    assert person.at().get(f"{V1}/users").status_code == 200


def test_a_log_out_with_an_ended_session_ends_nobody_elses(person):
    browser = person.at()
    person.change(person.at(), new="another passphrase 1234")
    here = person.at()
    assert browser.delete(f"{V1}/session").status_code == 204
    assert here.get(f"{V1}/users").status_code == 200


def test_a_session_in_use_ends_by_its_age_too(person, monkeypatch):
    browser = person.at()
    log_in = time.time()
    for hours, status in ((8, 200), (11.9, 200), (12.1, 401)):
        monkeypatch.setattr(time, "time", lambda at=log_in + hours * 3600: at)
        assert browser.get(f"{V1}/users").status_code == status


def test_the_session_is_the_persons_not_the_rows_of_everybody(open_api_city):
    person = Person(open_api_city(), role="supplier", scope="north")
    browser = person.at()
    person.change(browser)
    assert "south" not in browser.get(f"{V1}/meters").text
    assert browser.get(f"{V1}/meters/meter-south-0").status_code == 404


def test_a_one_time_password_opens_nothing_but_its_change(open_api_city):
    person = Person(open_api_city(), role="administrator")
    browser = person.at()
    assert browser.get(f"{V1}/me").json()["must_change"] is True
    for method, path in (("GET", "/users"), ("GET", "/home"), ("POST", "/keys")):
        answer = browser.request(method, V1 + path)
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:jieshui:problem:password-change-required"
    assert person.change(browser).status_code == 204
    assert browser.get(f"{V1}/users").status_code == 200


def test_a_new_password_ends_the_other_sessions(person):
    here, there = person.at(), person.at()
    person.change(here, new="another passphrase 1234")
    assert here.get(f"{V1}/users").status_code == 200
    assert there.get(f"{V1}/users").status_code == 401


def test_a_disabled_account_is_out_at_once(person):
    browser = person.at()
    person.city.accounts.disable_account("li", "tests")
    assert browser.get(f"{V1}/users").status_code == 401
    assert person.log_in(person.city.client()).status_code == 401


def test_a_reset_password_ends_the_sessions(person):
    browser = person.at()
    administrator = person.city.client("administrator")
    person.password = administrator.post(f"{V1}/accounts/li/reset-password").json()["password"]
    assert browser.get(f"{V1}/users").status_code == 401
    assert person.log_in(browser).json()["must_change"] is True


def test_the_last_administrator_cannot_be_disabled(open_api_city):
    city = open_api_city()
    city.accounts.ensure_administrator()
    answer = city.client("administrator").post(f"{V1}/accounts/admin/disable")
    assert (answer.status_code, "last administrator" in answer.json()["detail"]) == (409, True)


def test_a_disabled_account_is_out_even_where_its_epoch_stood_still(person):
    browser = person.at()
    person.city.accounts._store.change_account("li", {"disabled": True}, None)
    assert browser.get(f"{V1}/users").status_code == 401


@pytest.mark.parametrize(
    "refused",
    [{"new": "short"}, {"old": "wrong wrong wrong"}],
    ids=["too-short", "wrong-old-one"],
)
def test_a_refused_password_says_why(person, refused):
    answer = person.change(person.at(), **refused)
    assert answer.status_code == 422
    assert "password" in answer.json()["detail"]


def test_the_cookie_is_signed_and_out_of_reach_of_scripts(open_api_city):
    person = Person(open_api_city())
    cookie = person.log_in(person.city.client()).headers["set-cookie"].lower()
    assert cookie.startswith("jieshui_session=")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "max-age=43200" in cookie
    assert "secure" not in cookie
    forged = person.city.client(cookies={"jieshui_session": "eyJsb2dpbiI6ICJsaSJ9.x.y"})
    assert forged.get(f"{V1}/users").status_code == 401


def test_the_cookie_is_secure_where_the_service_is(open_api_city):
    person = Person(open_api_city(secure_cookies=True))
    assert "secure" in person.log_in(person.city.client()).headers["set-cookie"].lower()


def test_a_cookie_of_before_is_gone_after_its_time(open_api_city):
    person = Person(open_api_city(session_hours=0))
    browser = person.city.client()
    cookie = person.log_in(browser).headers["set-cookie"].split(";")[0]
    time.sleep(1.1)
    answer = browser.get(f"{V1}/me", headers={"Cookie": cookie})
    assert answer.status_code == 401


def test_log_in_and_password_are_refused_alike(person):
    client = person.city.client()
    wrong = person.log_in(client, "wrong wrong wrong")
    unknown = client.post(f"{V1}/session", json={"login": "nobody", "password": "x"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["type"] == "urn:jieshui:problem:log-in-refused"


def test_passwords_of_one_log_in_are_tried_a_few_times_only(open_api_city):
    person = Person(open_api_city(attempts_per_login=3, attempts_per_address=100))
    client = person.city.client()
    assert [person.log_in(client, f"wrong {i}").status_code for i in range(4)] == [401] * 3 + [429]
    limited = person.log_in(client)
    assert limited.status_code == 429, "also with the right password"
    assert 1 <= int(limited.headers["retry-after"]) <= 900
    assert limited.json()["type"] == "urn:jieshui:problem:too-many-attempts"
    other = Person(person.city, login="wang")
    assert other.log_in(client).status_code == 200


def test_one_address_tries_a_few_log_ins_only(open_api_city):
    city = open_api_city(attempts_per_address=3)
    client = city.client()
    statuses = [
        client.post(f"{V1}/session", json={"login": f"l{i}", "password": "x"}).status_code
        for i in range(4)
    ]
    assert statuses == [401, 401, 401, 429]


def test_a_success_lets_a_log_in_start_anew(open_api_city):
    person = Person(open_api_city(attempts_per_login=3))
    client = person.city.client()
    for _ in range(3):
        assert person.log_in(client, "wrong").status_code == 401
        assert person.log_in(client).status_code == 200


def test_old_passwords_are_tried_a_few_times_only(open_api_city):
    person = Person(open_api_city(attempts_per_login=3))
    browser = person.at()
    tried = [person.change(browser, old=f"wrong {i}").status_code for i in range(4)]
    assert tried == [422, 422, 422, 429]


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        pytest.param({"Sec-Fetch-Site": "same-origin"}, True, id="our-page"),
        pytest.param({"Sec-Fetch-Site": "none"}, True, id="typed"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, False, id="a-neighbour"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, False, id="another-site"),
        pytest.param({"Origin": "http://testserver"}, True, id="our-origin"),
        pytest.param({"Origin": "http://evil.example"}, False, id="another-origin"),
        pytest.param({"Origin": "null"}, False, id="a-hidden-origin"),
        pytest.param({}, True, id="a-program"),
    ],
)
def test_what_changes_something_must_come_from_our_own_pages(person, headers, allowed):
    browser = person.at()
    answer = browser.post(f"{V1}/alerts/1/acknowledge", json={"reason": "r"}, headers=headers)
    assert answer.status_code == (200 if allowed else 403)
    if not allowed:
        assert answer.json()["type"] == "urn:jieshui:problem:cross-origin"
        assert browser.get(f"{V1}/alerts/1").json()["state"] == "firing"
        assert browser.get(f"{V1}/users", headers=headers).status_code == 200


def test_another_site_cannot_log_somebody_in(person):
    headers = {"Sec-Fetch-Site": "cross-site"}
    body = {"login": "li", "password": person.password}
    answer = person.city.client().post(f"{V1}/session", json=body, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_wrong_key_does_not_fall_back_to_the_session(person):
    browser = person.at()
    answer = browser.get(f"{V1}/users", headers={"X-API-Key": "jsk_wrong"})
    assert answer.status_code == 401


def test_what_happened_before_the_log_in_does_not_outlive_it(person):
    browser = person.at()
    before = browser.cookies["jieshui_session"]
    other = Person(person.city, login="wang", role="utility")
    other.log_in(browser)
    assert browser.cookies["jieshui_session"] != before
    assert browser.get(f"{V1}/me").json()["name"] == "wang"
