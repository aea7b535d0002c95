"""Single sign-on with a real OpenID Connect provider and the real api process, over HTTP."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from jieshui.config import load_settings
from jieshui.wiring import open_stores

pytestmark = pytest.mark.servers

HERE = Path(__file__).parent
PASSWORD = "of the provider alone"
KELVIN = "\u212aing"
"""Small, this reads "king"."""
PEOPLE = ("wang", "zhao", "qian", "fresh", "LI", KELVIN)


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def _running(command, log, url, **options):
    """A process that answers at an address; ended on the way out."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, **options)
    try:
        deadline = time.monotonic() + 90
        while not _answers(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _answers(url):
    try:
        return httpx.get(url)
    except httpx.TransportError:
        return None


@pytest.fixture(scope="module")
def provider_program(missing):
    version = re.search(r"zitadel/oidc/v3 v(\S+)", (HERE / "openid/go.mod").read_text())[1]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    program = cache / f"jieshui/openid-{version}/provider"
    if not program.exists():
        missing("no OpenID Connect provider on this machine (make servers, with Go at hand)")
    return program


@dataclass
class Place:
    """Where the service and the provider are, and the service's configuration."""

    origin: str
    issuer: str
    config: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sign-on")
    origin, issuer = (f"http://{host}:{_free_port()}" for host in ("127.0.0.1", "localhost"))
    (folder / "secret").write_text("secret")
    config = folder / "jieshui.toml"
    config.write_text(
        f'[store]\nfolder = "store"\n[api]\nport = {origin.rpartition(":")[2]}\n'
        f'[sso]\nissuer = "{issuer}"\nclient_id = "web"\nclient_secret_file = "secret"\n'
        f'public_url = "{origin}"\nlabel = "市政务统一登录"\n',
        encoding="utf-8",
    )
    return Place(origin, issuer, config)


@pytest.fixture(scope="module")
def provider(provider_program, place):
    people = {
        login: {"ID": login, "Username": login, "Password": PASSWORD, "FirstName": "工"}
        for login in PEOPLE
    }
    users = place.config.with_name("users.json")
    users.write_text(json.dumps(people))
    environment = {
        "PORT": place.issuer.rpartition(":")[2],
        "USERS_FILE": str(users),
        "REDIRECT_URI": f"{place.origin}/sso/callback",
    }
    log = users.with_name("provider.log")
    with _running([provider_program], log, place.issuer, env=os.environ | environment):
        yield place.issuer


@pytest.fixture(scope="module")
def service(place, provider):
    with open_stores(load_settings(place.config)) as stores:
        for login in ("wang", "qian", "li", "king"):
            once = stores.accounts.create_account(login, "王工", "bureau", None, "tests")
            stores.accounts.change_password(login, once, "a password of their own")
        stores.accounts.create_account("fresh", "新同事", "bureau", None, "tests")
        stores.accounts.disable_account("qian", "tests")
    command = [sys.executable, "-m", "jieshui", "serve", "api", "-c", place.config]
    with _running(command, place.config.with_name("api.log"), f"{place.origin}/healthz"):
        yield place.origin


@pytest.fixture
def browser(service):
    with httpx.Client(base_url=service, follow_redirects=True, timeout=30) as client:
        yield client


def at_the_provider(browser, address="/sso/start"):
    """Go to the provider's own log-in page; its form's hidden id."""
    page = browser.get(address)
    assert "localhost" in str(page.url), page.url
    return page, re.search(r'name="id" value="([^"]+)"', page.text)[1]


def sign_on(browser, login, address="/sso/start"):
    """Through the provider's log-in and back; where one ends."""
    page, form = at_the_provider(browser, address)
    return browser.post(page.url, data={"id": form, "username": login, "password": PASSWORD})


def me(browser):
    return browser.get("/api/v1/me")


def test_the_log_in_page_offers_it_under_its_label(browser):
    page = browser.get("/log-in?next=/zones")
    assert "市政务统一登录" in page.text
    assert "/sso/start?next=%2Fzones" in page.text


def test_who_signs_on_is_in_as_the_account_of_that_login(browser):
    end = sign_on(browser, "wang", "/sso/start?next=/zones")
    assert (end.url.path, end.url.host) == ("/zones", "127.0.0.1")
    assert me(browser).json() == {
        "name": "wang", "role": "bureau", "scope": None, "must_change": False
    }  # fmt: skip


def test_a_log_out_ends_the_session(browser):
    sign_on(browser, "wang")
    kept = dict(browser.cookies)
    browser.post("/log-out")
    assert me(browser).status_code == 401
    assert httpx.get(f"{browser.base_url}/api/v1/me", cookies=kept).status_code == 401


def test_a_one_time_password_is_not_asked_of_who_came_without_it(browser):
    assert sign_on(browser, "fresh").url.path == "/"
    assert me(browser).json()["must_change"] is False
    assert browser.get("/api/v1/users").status_code == 200


def test_capitals_make_no_difference(browser):
    sign_on(browser, "LI")
    assert me(browser).json()["name"] == "li"


@pytest.mark.parametrize(
    "login", ["zhao", "qian", KELVIN], ids=["no-account", "disabled", "looks-like-an-account"]
)
def test_who_has_no_account_in_use_is_told_so(browser, login):
    end = sign_on(browser, login)
    assert (end.status_code, end.url.path) == (200, "/log-in")
    assert "没有可用的账户" in end.text
    browser.cookies.set("language", "en")
    assert "have no account here" in browser.get(end.url).text
    assert me(browser).status_code == 401


def callback_of(browser, login="wang"):
    """The address with which the provider sends the browser back, not gone to."""
    page, form = at_the_provider(browser)
    answer = browser.post(
        page.url,
        data={"id": form, "username": login, "password": PASSWORD},
        follow_redirects=False,
    )
    while "/sso/callback" not in answer.headers["location"]:
        answer = browser.get(answer.url.join(answer.headers["location"]), follow_redirects=False)
    return httpx.URL(answer.headers["location"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"state": "of somebody else"}, "已失效", id="another-state"),
        pytest.param({"state": "é"}, "已失效", id="no-state-at-all"),
        pytest.param({"code": "guessed"}, "未成功", id="a-guessed-code"),
        pytest.param({"code": ""}, "未成功", id="no-code"),
        pytest.param({"error": "access_denied"}, "未成功", id="the-provider-refuses"),
    ],
)
def test_what_was_tampered_with_on_the_way_back_is_refused(browser, change, said):
    end = browser.get(callback_of(browser).copy_merge_params(change))
    assert (end.status_code, end.url.path) == (200, "/log-in")
    assert said in end.text
    assert me(browser).status_code == 401


def test_an_answer_is_good_for_the_browser_that_asked_and_once(browser, service):
    address = callback_of(browser)
    with httpx.Client(base_url=service, follow_redirects=True) as other:
        assert "已失效" in other.get(address).text
        assert me(other).status_code == 401
    assert browser.get(address).url.path == "/"
    assert "已失效" in browser.get(address).text


@pytest.mark.parametrize("next_", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_nobody_is_sent_elsewhere_after_signing_on(browser, next_):
    end = sign_on(browser, "wang", str(httpx.URL("/sso/start", params={"next": next_})))
    assert (end.url.host, end.url.path) == ("127.0.0.1", "/")


def test_one_address_begins_a_few_sign_ons_only(browser):
    """The last one here: whoever comes from this address after it is refused."""
    answers = [browser.get("/sso/start") for _ in range(31)]
    assert "尝试次数过多" in answers[-1].text
    assert answers[-1].url.path == "/log-in"
