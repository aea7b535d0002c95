"""What happens around every request: context, origin check, security headers, metrics."""

import time
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.context import ApiContext
from api.problems import CROSS_ORIGIN, ProblemError, problem_response

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FRESH = ("/api/", "/healthz", "/readyz", "/metrics", "/sso/")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": (
        "frame-ancestors 'none'; base-uri 'self'; form-action 'self'; object-src 'none'"
    ),
}


class ContextMiddleware:
    """Hands the context to whatever serves the request, also below a mounted app."""

    def __init__(self, app: ASGIApp, context: ApiContext) -> None:
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the context to the state of the request."""
        if scope["type"] in {"http", "websocket"}:
            scope.setdefault("state", {})["context"] = self.context
        await self.app(scope, receive, send)


class SameOriginMiddleware:
    """Refuses what another site makes a browser send with our cookie (CSRF).

    Browsers say where a request comes from: Sec-Fetch-Site, older ones Origin. Programs say
    neither and hold no cookie of somebody else's. A request with an API key needs no check: a
    browser doesn't add one by itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or refuse it."""
        if _changes_state(scope) and not _same_origin(Headers(scope=scope)):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            refused = problem_response(scope["path"], ProblemError(CROSS_ORIGIN))
            await refused(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _changes_state(scope: Scope) -> bool:
    # A page's events come over its websocket.
    if scope["type"] == "websocket":
        return True
    return scope["type"] == "http" and scope["method"] not in _SAFE


def _same_origin(headers: Headers) -> bool:
    if "authorization" in headers or "x-api-key" in headers:
        return True
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] in {"same-origin", "none"}
    if "origin" in headers:
        return urlsplit(headers["origin"]).netloc == headers.get("host")
    return True


class HeadersMiddleware:
    """Security headers on every answer; those of the API and of the probes are not to be cached."""

    def __init__(self, app: ASGIApp, *, https_only: bool) -> None:
        self.app = app
        self.https_only = https_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers as the answer begins."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self.https_only:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
                if scope["path"].startswith(_FRESH):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class MetricsMiddleware:
    """Counts requests and their seconds by method, route template and status."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        self.requests = Counter(
            "jieshui_http_requests",
            "Requests answered, by method, route and status.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "jieshui_http_request_seconds",
            "Seconds until the answer began, by method and route.",
            ("method", "route"),
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self.seconds.labels(method, _route(scope)).observe(time.perf_counter() - begun)
            await send(message)

        # Only words of our own become labels: a stranger's would grow the series without end.
        method = scope["method"] if scope["method"] in _METHODS else "other"
        try:
            await self.app(scope, receive, note)
        finally:
            self.requests.labels(method, _route(scope), str(status)).inc()


_METHODS = _SAFE | {"POST", "PUT", "PATCH", "DELETE"}


def _route(scope: Scope) -> str:
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "other"
