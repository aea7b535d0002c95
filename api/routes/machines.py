"""What machines ask: alive, ready, metrics."""

from collections.abc import Callable, Mapping

import structlog
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

log = structlog.get_logger()

Checks = Mapping[str, Callable[[], object]]
"""Name → something that raises when that dependency does not answer."""


def machine_routes(checks: Checks, metrics: CollectorRegistry) -> APIRouter:
    """/healthz, /readyz and /metrics."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/healthz")
    def get_health() -> dict[str, str]:
        """The process is alive."""
        return {"status": "alive"}

    @routes.get("/readyz")
    def get_readiness() -> JSONResponse:
        """Whether every dependency answers; 503 with those that don't."""
        answers = {name: _answer(name, check) for name, check in checks.items()}
        ready = all(answer == "ready" for answer in answers.values())
        return JSONResponse({"ready": ready, "checks": answers}, 200 if ready else 503)

    @routes.get("/metrics")
    def get_metrics() -> Response:
        """Prometheus text."""
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    return routes


def _answer(name: str, check: Callable[[], object]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001 (whatever a dependency raises, it is not ready)
        log.warning("dependency does not answer", dependency=name, error=repr(error))
        return "not ready"
    return "ready"
