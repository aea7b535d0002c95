"""The OpenID Connect provider as it describes itself (OpenID Connect Discovery 1.0)."""

import time
from collections.abc import Callable
from threading import Lock

from authlib.integrations.base_client import BaseApp, OAuth2Mixin, OpenIDMixin

RENEW_S = 86_400.0
"""What a provider says of itself, and its keys, are asked for again after so long."""
FAILED_S = 10.0
"""A provider that did not answer is not asked again for so long: nobody waits in vain for it."""


class SignOnError(Exception):
    """The provider did not vouch for anybody; the message is for the log."""


class Provider(OAuth2Mixin, OpenIDMixin, BaseApp):
    """A provider and what it says of itself; several threads may ask it."""


class Discovery:
    """The provider of one issuer, asked for its description when somebody needs it.

    Args:
        issuer: what the provider must call itself.
        make: makes the provider, of which nothing is known yet.
        now: seconds that only grow.
    """

    def __init__(
        self, issuer: str, make: Callable[[], Provider], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._make = make
        self._now = now
        self._lock = Lock()
        self._found: Provider | SignOnError | None = None
        self._fresh_until = 0.0

    def find(self) -> Provider:
        """The provider with its description; one thread asks, the others wait for its answer.

        Raises:
            SignOnError: it is away, or no provider of this issuer.
        """
        with self._lock:
            if self._found is None or self._now() >= self._fresh_until:
                self._found = self._ask()
                failed = isinstance(self._found, SignOnError)
                self._fresh_until = self._now() + (FAILED_S if failed else RENEW_S)
            found = self._found
        if isinstance(found, SignOnError):
            raise SignOnError(str(found))
        return found

    def _ask(self) -> Provider | SignOnError:
        provider = self._make()
        try:  # Whatever a provider answers, it is no bug of ours: every error is one sentence.
            metadata = provider.load_server_metadata()
            issuer = str(metadata.get("issuer"))
        except Exception as error:  # noqa: BLE001 (see above)
            return as_sign_on_error(error)
        if issuer.rstrip("/") != self._issuer.rstrip("/"):
            return SignOnError(f"the provider calls itself {issuer}")
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" not in methods:
            metadata["token_endpoint_auth_method"] = "client_secret_post"  # noqa: S105 (a method)
        return provider


def as_sign_on_error(error: Exception) -> SignOnError:
    """Any error of a provider as one sentence."""
    return (
        error if isinstance(error, SignOnError) else SignOnError(f"{type(error).__name__}: {error}")
    )
