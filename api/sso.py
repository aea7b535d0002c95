"""Single sign-on: what an OpenID Connect provider vouches for (OpenID Connect Core 1.0, PKCE).

The provider says who somebody is; what that person may see is said by the account of that login
here, which an administrator has made.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from authlib.integrations.requests_client import OAuth2Session

from api.provider import Discovery, Provider, SignOnError, as_sign_on_error

CALLBACK = "/sso/callback"
_TIMEOUT_S = 10
_LEEWAY_S = 60
"""By how much the clocks of the provider and of this machine may differ."""
_VERIFIED = (True, "true")
"""What says that an address is verified; some providers write the claim as a string."""


@dataclass(frozen=True, slots=True)
class SignOnSettings:
    """How to ask the provider.

    Attributes:
        issuer: the provider's address; its discovery document lies below it.
        client_id: our name there.
        client_secret: proves that it is us who ask.
        public_url: where people reach this service.
        login_claim: the claim that holds the login.
        label: what the button on the log-in page says.
        ca_file: certificates to trust instead of the usual ones.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    public_url: str
    login_claim: str
    label: str
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-on under way: what its browser must come back with, and its answer must hold."""

    state: str
    nonce: str
    code_verifier: str


class _Provider(Provider):
    client_cls = OAuth2Session


class SingleSignOn:
    """Asks one provider; any thread may. Nothing is asked before the first sign-on."""

    def __init__(self, settings: SignOnSettings, now: Callable[[], float] = time.monotonic) -> None:
        self.label = settings.label
        self._settings = settings
        self._callback = settings.public_url.rstrip("/") + CALLBACK
        self._discovery = Discovery(settings.issuer, self._make_provider, now)

    def _make_provider(self) -> Provider:
        settings = self._settings
        return _Provider(
            framework=None,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            server_metadata_url=settings.issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "default_timeout": _TIMEOUT_S,
                "leeway": 0,  # The access token is used at once, however soon it ends.
                "verify": str(settings.ca_file) if settings.ca_file else True,
            },
        )

    def begin(self) -> tuple[str, Pending]:
        """The address to send a browser to, and what to remember of it until it comes back.

        Raises:
            SignOnError: the provider is away or none.
        """
        try:  # Whatever a provider answers, it is no bug of ours: every error is one sentence.
            made = self._discovery.find().create_authorization_url(self._callback)
        except Exception as error:
            raise as_sign_on_error(error) from error
        return made["url"], Pending(made["state"], made["nonce"], made["code_verifier"])

    def finish(self, pending: Pending, code: str, error: str) -> str:
        """The login that the provider vouches for; `error` is what it says instead of a code.

        Raises:
            SignOnError: it refused, or the token's signature or one of its claims is not good.
        """
        if error or not code:
            raise SignOnError(f"the provider refused: {error[:80]!r}")
        try:
            claims = self._claims(pending, code)
        except Exception as broken:
            raise as_sign_on_error(broken) from broken
        return self._login(claims)

    def _claims(self, pending: Pending, code: str) -> Mapping[str, Any]:
        """The claims of the token, or of the user-info endpoint where the login stands there."""
        provider = self._discovery.find()
        metadata = provider.server_metadata
        token = provider.fetch_access_token(
            redirect_uri=self._callback, code=code, code_verifier=pending.code_verifier
        )
        claims = provider.parse_id_token(
            token,
            nonce=pending.nonce,
            claims_options={
                "iss": {"essential": True, "value": metadata["issuer"]},
                "aud": {"essential": True, "value": self._settings.client_id},
            },
            leeway=_LEEWAY_S,
        )
        if claims is None:
            raise SignOnError("the provider gave no id_token")
        if self._settings.login_claim in claims or "userinfo_endpoint" not in metadata:
            return claims
        more = provider.userinfo(token=token)
        if more.get("sub") != claims["sub"]:
            raise SignOnError("the user-info is of somebody else")
        return more

    def _login(self, claims: Mapping[str, Any]) -> str:
        name = self._settings.login_claim
        login = claims.get(name)
        if not isinstance(login, str) or not login:
            raise SignOnError(f"the provider says no {name}")
        if name == "email" and claims.get("email_verified") not in _VERIFIED:
            raise SignOnError("the provider has not verified the address")
        return login
