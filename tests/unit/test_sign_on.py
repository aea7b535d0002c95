"""What is refused of a provider: a stand-in that signs well, and can lie in one thing at a time."""

import json
import threading
import time
import warnings
from base64 import urlsafe_b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from starlette.exceptions import StarletteDeprecationWarning
from starlette.middleware.sessions import SessionMiddleware

from api.attempts import Attempts
from api.middleware import ContextMiddleware
from api.pages import sso as pages
from api.provider import FAILED_S, RENEW_S, SignOnError
from api.settings import ApiSettings
from api.sso import SignOnSettings, SingleSignOn

with warnings.catch_warnings():
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from fastapi.testclient import TestClient

KEY, OTHER_KEY = (RSAKey.generate_key(2048, {"kid": "k"}) for _ in range(2))
SHARED = OctKey.import_key("our secret, of thirty-two letters", {"kid": "k"})


class Time:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self):
        return self.now


class StandIn:
    """An OpenID Connect provider as far as a relying party sees it; no log-in, no consent."""

    def __init__(self):
        self.documents, self.claims, self.token_requests, self.asked = {}, {}, [], []
        self.key, self.algorithm, self.id_token = KEY, "RS256", True
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                stand_in.asked.append(self.path)
                self.answer(stand_in.documents.get(self.path))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                stand_in.token_requests.append((self.headers, parse_qs(body)))
                self.answer(stand_in.token())

            def answer(self, document):
                self.send_response(200 if document is not None else 404)
                self.end_headers()
                self.wfile.write(
                    document if isinstance(document, bytes) else json.dumps(document).encode()
                )

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02])
        self._thread.start()
        self.metadata = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorise",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
        }
        self.documents["/.well-known/openid-configuration"] = self.metadata
        self.documents["/keys"] = {"keys": [KEY.as_dict(private=False)]}
        self.documents["/userinfo"] = {"sub": "1", "preferred_username": "from-userinfo"}

    def token(self):
        token = {"access_token": "a", "token_type": "Bearer", "expires_in": 60}
        if self.id_token:
            header = {"alg": self.algorithm, "kid": "k"}
            token["id_token"] = jwt.encode(
                header, self.claims, self.key, algorithms=[self.algorithm]
            )
        return token

    def sign_nothing(self):
        """From now on tokens say themselves that they are not signed."""
        signed = self.token
        head = urlsafe_b64encode(b'{"alg":"none","kid":"k"}').decode().rstrip("=")

        def token():
            made = signed()
            return made | {"id_token": f"{head}.{made['id_token'].split('.')[1]}."}

        self.token = token

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def provider():
    stand_in = StandIn()
    yield stand_in
    stand_in.stop()


@pytest.fixture
def sign_on(provider):
    """Sign on once: what the id_token says is good, but for `claims`; None leaves one out."""

    def run(login_claim="preferred_username", code="c", error="", **claims):
        settings = SignOnSettings(
            issuer=provider.issuer,
            client_id="us",
            client_secret="our secret",
            public_url="https://water.example",
            login_claim=login_claim,
            label="SSO",
        )
        sso = SingleSignOn(settings)
        _, pending = sso.begin()
        now = int(time.time())
        good = {"iss": provider.issuer, "sub": "1", "aud": "us", "iat": now, "exp": now + 300,
                "nonce": pending.nonce, "preferred_username": "wang"}  # fmt: skip
        provider.claims = {name: it for name, it in (good | claims).items() if it is not None}
        return sso.finish(pending, code, error)

    return run


def test_a_good_token_names_its_login(sign_on):
    assert sign_on() == "wang"


def test_the_browser_is_sent_with_state_nonce_and_challenge(provider, sign_on):
    settings = SignOnSettings(
        provider.issuer, "us", "our secret", "https://water.example/", "sub", "SSO"
    )
    address, pending = SingleSignOn(settings).begin()
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert asked.pop("code_challenge") not in {"", pending.code_verifier}
    assert asked == {
        "response_type": "code",
        "client_id": "us",
        "redirect_uri": "https://water.example/sso/callback",
        "scope": "openid profile email",
        "state": pending.state,
        "nonce": pending.nonce,
        "code_challenge_method": "S256",
    }
    assert "our secret" not in repr(settings)


def test_the_code_is_exchanged_with_our_secret_and_the_verifier(provider, sign_on):
    sign_on()
    headers, body = provider.token_requests[0]
    assert headers["Authorization"].startswith("Basic ")
    assert len(body["code_verifier"][0]) == 48
    assert body["redirect_uri"] == ["https://water.example/sso/callback"]


def test_a_provider_that_wants_the_secret_in_the_body_gets_it_there(provider, sign_on):
    provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert sign_on() == "wang"
    headers, body = provider.token_requests[0]
    assert (headers["Authorization"], body["client_secret"]) == (None, ["our secret"])


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"aud": "somebody else"}, id="for-somebody-else"),
        pytest.param({"aud": "somebody else", "azp": "us"}, id="asked-by-us-for-somebody-else"),
        pytest.param({"aud": None}, id="for-nobody"),
        pytest.param({"aud": ["us", "other"], "azp": "other"}, id="handed-on-by-another"),
        pytest.param({"iss": "https://other.example"}, id="of-another-issuer"),
        pytest.param({"iss": None}, id="of-no-issuer"),
        pytest.param({"exp": 1_700_000_000}, id="expired"),
        pytest.param({"exp": None}, id="for-ever"),
        pytest.param({"iat": 4_000_000_000, "exp": 4_000_000_300}, id="from-the-future"),
        pytest.param({"nonce": "of another sign-on"}, id="of-another-sign-on"),
        pytest.param({"nonce": None}, id="without-nonce"),
        pytest.param({"sub": None}, id="of-nobody"),
        pytest.param({"preferred_username": ""}, id="without-login"),
        pytest.param({"preferred_username": ["wang", "li"]}, id="with-two-logins"),
    ],
)
def test_a_token_is_refused(sign_on, claims):
    with pytest.raises(SignOnError):
        sign_on(**claims)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        pytest.param(OTHER_KEY, "RS256", id="another-key"),
        pytest.param(SHARED, "HS256", id="a-shared-secret"),
    ],
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_signature_that_the_provider_did_not_make_is_refused(provider, sign_on, key, algorithm):
    provider.metadata["id_token_signing_alg_values_supported"] = ["RS256", "HS256", "none"]
    provider.key, provider.algorithm = key, algorithm
    with pytest.raises(SignOnError):
        sign_on()


def test_a_token_that_nobody_signed_is_refused(provider, sign_on):
    provider.metadata["id_token_signing_alg_values_supported"] = ["RS256", "none"]
    provider.sign_nothing()
    with pytest.raises(SignOnError):
        sign_on()


def test_a_provider_with_new_keys_is_asked_for_them(provider, sign_on):
    assert sign_on() == "wang"
    provider.key = RSAKey.generate_key(2048, {"kid": "k"})
    provider.documents["/keys"] = {"keys": [provider.key.as_dict(private=False)]}
    assert sign_on() == "wang"


def test_a_login_that_is_not_in_the_token_is_asked_of_the_user_info(sign_on):
    assert sign_on(preferred_username=None) == "from-userinfo"


def test_the_user_info_of_somebody_else_is_refused(provider, sign_on):
    provider.documents["/userinfo"]["sub"] = "2"
    with pytest.raises(SignOnError, match="somebody else"):
        sign_on(preferred_username=None)


def test_an_address_that_the_provider_has_not_verified_is_no_login(sign_on):
    email = {"email": "wang@example.gov.cn"}
    for verified in (True, "true"):
        assert sign_on("email", email_verified=verified, **email) == "wang@example.gov.cn"
    for verified in (False, None, "false", "False", "", "no", ["true"]):
        with pytest.raises(SignOnError, match="verified"):
            sign_on("email", email_verified=verified, **email)


def test_an_answer_without_an_id_token_is_refused(provider, sign_on):
    provider.id_token = False
    with pytest.raises(SignOnError, match="no id_token"):
        sign_on()


@pytest.mark.parametrize(
    "document",
    [b"<html>", [], {}, {"issuer": "https://other.example"}, None],
    ids=["html", "list", "empty", "another-issuer", "missing"],
)
def test_what_is_no_provider_is_said_and_asked_again_later(provider, sign_on, document):
    good = provider.documents["/.well-known/openid-configuration"]
    provider.documents["/.well-known/openid-configuration"] = document
    settings = SignOnSettings(provider.issuer, "us", "s", "https://water.example", "sub", "SSO")
    time = Time()
    sso = SingleSignOn(settings, time)
    with pytest.raises(SignOnError):
        sso.begin()
    provider.documents["/.well-known/openid-configuration"] = good
    with pytest.raises(SignOnError):
        sso.begin()
    assert len(provider.asked) == 1, "asked again at once"
    time.now += FAILED_S
    address, _ = sso.begin()
    assert address.startswith(provider.issuer)


def test_what_a_provider_says_of_itself_is_asked_for_once_a_day(provider):
    settings = SignOnSettings(provider.issuer, "us", "s", "https://water.example", "sub", "SSO")
    time = Time()
    sso = SingleSignOn(settings, time)
    for passed in (0, RENEW_S - 1):
        time.now += passed
        sso.begin()
    assert len(provider.asked) == 1
    provider.metadata["authorization_endpoint"] = f"{provider.issuer}/new"
    time.now += 1
    address, _ = sso.begin()
    assert address.startswith(f"{provider.issuer}/new?")


def test_a_provider_that_is_away_is_no_error_of_ours():
    away = SignOnSettings("http://127.0.0.1:1", "us", "s", "https://water.example", "sub", "SSO")
    with pytest.raises(SignOnError, match="ConnectionError"):
        SingleSignOn(away).begin()


@pytest.fixture
def browser(provider):
    """A browser at the two addresses of single sign-on; nothing else of the service is there."""
    settings = SignOnSettings(provider.issuer, "us", "s", "https://water.example", "sub", "SSO")
    context = SimpleNamespace(
        sso=SingleSignOn(settings), attempts=Attempts(ApiSettings(secret="s" * 32, title=""))
    )
    app = FastAPI()
    app.include_router(pages.routes)
    app.add_middleware(SessionMiddleware, secret_key="s")
    app.add_middleware(ContextMiddleware, context=context)
    with TestClient(app, follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        pytest.param("/zones?day=2026-09-15", "%2Fzones%3Fday%3D2026-09-15", id="a-page"),
        pytest.param("/zones?q=" + "x" * 4000, "%2F", id="too-long"),
        pytest.param("/zones?q=" + "\u6c34" * 400, "%2F", id="too-long-once-written"),
    ],
)
def test_the_cookie_of_a_sign_on_stays_far_below_what_a_browser_keeps(browser, wanted, kept):
    answer = browser.get(pages.START, params={"next": wanted})
    assert answer.status_code == 303
    assert len(answer.headers["set-cookie"]) < 2048
    answer = browser.get("/sso/callback", params=_state_of(answer) | {"error": "access_denied"})
    assert answer.headers["location"].endswith(f"refused=sso_failed&next={kept}")


def _state_of(answer):
    return {"state": parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]}
