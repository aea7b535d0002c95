"""The port on which a process without a web server says that it lives: health and metrics."""

import json
from collections.abc import Callable, Iterable, Mapping
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app

from jieshui.config import Settings
from jieshui.errors import JieshuiError

log = structlog.get_logger()

Health = Callable[[], Mapping[str, Any]]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its base's name)
        """Say nothing: a probe every few seconds is no news."""


class HealthPort:
    """Serves /healthz (it answers), /readyz (it works: 200 or 503) and /metrics; port 0 = off."""

    def __init__(self, host: str, port: int, health: Health, metrics: CollectorRegistry) -> None:
        self._host = host
        self._port = port
        self._health = health
        self._metrics_app = make_wsgi_app(metrics)
        self._server: WSGIServer | None = None

    def start(self) -> None:
        """Listen on the port in a thread of its own.

        Raises:
            JieshuiError: the port is taken, or the host is none of this machine's.
        """
        if not self._port:
            return
        try:
            self._server = make_server(self._host, self._port, self._answer, handler_class=_Quiet)
        except OSError as error:
            raise JieshuiError(
                f"can't listen on {self._host} port {self._port} for health and metrics: "
                f"{error.strerror}"
            ) from None
        Thread(target=self._server.serve_forever, name="health", daemon=True).start()
        log.info("health_port_open", host=self._host, port=self._port)

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return self._metrics_app(environ, start_response)
        if path not in {"/healthz", "/readyz"}:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/healthz, /readyz and /metrics are here\n"]
        health = self._health()
        failing = path == "/readyz" and not health.get("ready", True)
        start_response(
            "503 Service Unavailable" if failing else "200 OK",
            [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
        )
        return [json.dumps(health, default=str).encode() + b"\n"]


def ready_addresses(settings: Settings) -> dict[str, str]:
    """Process → the address on this machine that answers 200 while it works."""
    places = {
        "ingest": settings.ingest,
        "analysis": settings.analysis,
        "api": settings.api,
        "watch": settings.watch,
    }
    return {
        name: f"http://{_reachable(place.host)}:{place.port}/readyz"
        for name, place in places.items()
        if place.port
    }


def _reachable(host: str) -> str:
    """The host to ask: who listens everywhere is asked on the loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (asked, not bound)
    return f"[{host}]" if ":" in host else host
