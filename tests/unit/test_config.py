from pathlib import Path

import pytest

from jieshui.config import load_settings
from jieshui.errors import JieshuiError
from jieshui.wiring import registry_address, session_secret
from water.clock import ScaledClock, SystemClock

SSO = """[sso]
issuer = "https://id"
client_id = "jieshui"
client_secret_file = "secret"
public_url = "https://us"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "jieshui.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_is_exactly_the_defaults(tmp_path):
    example = Path(__file__).parents[2] / "jieshui/example.toml"
    read = load_settings(write(tmp_path, example.read_text(encoding="utf-8")))
    assert read == load_settings(write(tmp_path, ""))


def test_paths_are_relative_to_the_file(tmp_path):
    settings = load_settings(write(tmp_path, '[store]\nfolder = "here"\n'))
    assert settings.store.folder == tmp_path / "here"
    assert settings.registry_url == f"sqlite:///{tmp_path}/here/registry.sqlite"


def test_the_environment_overrules_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("JIESHUI_API__PORT", "9000")
    assert load_settings(write(tmp_path, "[api]\nport = 8000\n")).api.port == 9000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[api]\n\nprot = 1\n", "line 3: api.prot: is no setting"),
        ("[api]\nhost = '::'\nport = 'x'\n", "line 3: api.port"),
        ("[api]\nport = 99999\n", "line 2: api.port"),
        ("[city]\ntimezone = 'Asia/Yiwu'\n", "line 2: city.timezone: .*Asia/Yiwu"),
        ("[city]\nnight = [5, 2]\n", "line 2: city.night: .*in order"),
        ("[city]\nnight = [22, 24]\n", "line 2: city.night: .*in order"),
        ("[mqtt]\nhost = 'far'\npassword_file = 'p'\n", "line 1: mqtt: .*far in clear"),
        ("[notify]\n'mayor:1' = ['json://x']\n", "mayor:1"),
        ("[mqqt]\nhost = 'x'\n", "mqqt: is no setting"),
        ("[api\n", "not TOML.*line 1"),
        ("[[mqtt.sources]]\nfilter = 'a'\ndialect = 'senml'\n", "line 1: mqtt.sources.0.supplier"),
        ("[[mqtt.sources]]\nfilter = 'a'\ndialect = 'b'\n", "line 3: mqtt.sources.0.dialect: "),
        ("[[mqtt.sources]]\nfilter = 'a/#/b'\n", "line 2: mqtt.sources.0.filter: .*no topic"),
        (SSO.replace("https://id", "http://id"), "line 1: sso: .*issuer is without TLS"),
        (SSO.replace("https://us", "http://us"), "line 1: sso: .*public_url is without TLS"),
        (SSO.replace("https://us", "us"), "line 1: sso: .*public_url 'us' is no address"),
        (SSO.replace("https://us", "https://us/water"), "line 1: sso: .*public_url has a path"),
        ("[clock]\nanchor = 2026-01-01T00:00:00\nshown = 2026-01-01T00:00:00Z\n", "line 2: clock"),
    ],
)
def test_a_broken_file_is_refused_with_its_line_and_reason(tmp_path, text, said):
    with pytest.raises(JieshuiError, match=said):
        load_settings(write(tmp_path, text))


@pytest.mark.parametrize("name", ["JIESHUI_API__PROT", "JIESHUI_APY__PORT", "JIESHUI_PORT"])
def test_a_misspelt_variable_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    with pytest.raises(JieshuiError, match=name):
        load_settings(write(tmp_path, ""))


def test_a_variable_of_the_tests_is_no_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("JIESHUI_TEST_POSTGRES", "postgresql+psycopg://somewhere")
    load_settings(write(tmp_path, ""))


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(JieshuiError, match="jieshui init"):
        load_settings(tmp_path / "none.toml")


def test_a_broken_policy_names_its_file_and_setting(tmp_path):
    (tmp_path / "policy.toml").write_text("loss_target = 1\n", encoding="utf-8")
    settings = load_settings(write(tmp_path, '[city]\npolicy = "policy.toml"\n'))
    with pytest.raises(JieshuiError, match=r"policy\.toml, line 1: loss_target"):
        settings.policy()


def test_a_wrong_variable_is_named_and_not_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("JIESHUI_API__PORT", "abc")
    with pytest.raises(JieshuiError, match="environment's JIESHUI_API__PORT"):
        load_settings(write(tmp_path, "[api]\nport = 8000\n"))


def test_a_policy_that_is_not_there_is_said_as_such(tmp_path):
    settings = load_settings(write(tmp_path, '[city]\npolicy = "none.toml"\n'))
    with pytest.raises(JieshuiError, match=r"city\.policy names .*none\.toml"):
        settings.policy()


def test_a_clock_table_makes_a_scaled_clock(tmp_path):
    text = "[clock]\nanchor = 2026-01-01T00:00:00Z\nshown = 2026-09-15T00:00:00+08:00\nspeed = 60\n"
    assert isinstance(load_settings(write(tmp_path, text)).make_clock(), ScaledClock)
    assert isinstance(load_settings(write(tmp_path, "")).make_clock(), SystemClock)


def test_one_user_may_have_an_address_of_its_own(tmp_path):
    text = "[notify]\nbureau = ['json://b']\n'user:33078200011' = ['json://u']\n"
    audiences = load_settings(write(tmp_path, text)).notify.audiences()
    assert audiences["user:33078200011"] == ("json://u",)
    assert audiences["bureau"] == ("json://b",)


def test_the_session_secret_is_made_once_and_is_ours_alone(tmp_path):
    first = session_secret(tmp_path)
    assert len(first) >= 32
    assert session_secret(tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == ["session-secret"]
    assert (tmp_path / "session-secret").stat().st_mode & 0o777 == 0o600


def test_the_registrys_password_may_lie_in_a_file_of_its_own(tmp_path):
    (tmp_path / "password").write_text("p@ss/word\n", encoding="utf-8")
    url = "postgresql+psycopg://jieshui@db/jieshui"
    text = f"[store]\nregistry_url = '{url}'\nregistry_password_file = 'password'\n"
    address = registry_address(load_settings(write(tmp_path, text)))
    assert address.password == "p@ss/word"
    assert address.host == "db"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "10.0.0.2:9101/readyz",
        "ftp://host/",
        "http:///readyz",
        "http://host:port/",
        "http://[::",
    ],
)
def test_an_address_to_watch_that_is_none_is_named(tmp_path, address):
    config = write(tmp_path, f"[watch.targets]\nother = '{address}'\n")
    with pytest.raises(JieshuiError, match=r"line \d.*watch.targets: .*other: .* is no address"):
        load_settings(config)


def test_the_watch_tells_the_bureau_unless_it_has_addresses_of_its_own(tmp_path):
    bureau = "[notify]\nbureau = ['json://b']\n"
    assert load_settings(write(tmp_path, "")).watch_addresses == ()
    assert load_settings(write(tmp_path, bureau)).watch_addresses == ("json://b",)
    own = bureau + "[watch]\naddresses = ['json://w']\n"
    assert load_settings(write(tmp_path, own)).watch_addresses == ("json://w",)


def test_single_sign_on_is_by_tls_except_on_the_loopback(tmp_path):
    assert load_settings(write(tmp_path, SSO)).sso.login_claim == "preferred_username"
    local = SSO.replace("https://id", "http://localhost:9998").replace("https://us", "http://[::1]")
    assert load_settings(write(tmp_path, local)).sso.client_secret_file == tmp_path / "secret"
