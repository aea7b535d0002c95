"""The application: routes, rights, errors and pages over ports that are handed in."""

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from prometheus_client import CollectorRegistry
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import Match

from api import problems
from api.attempts import Attempts
from api.context import ApiContext
from api.middleware import (
    ContextMiddleware,
    HeadersMiddleware,
    MetricsMiddleware,
    SameOriginMiddleware,
)
from api.parameters import refuse_nul, refuse_unknown
from api.ports import (
    Accounts,
    AlertActions,
    Door,
    Editing,
    EditQueries,
    IngestQueries,
    Jobs,
    MeterChanging,
    ReadingQueries,
    RegistryQueries,
)
from api.problems import (
    BAD_REQUEST,
    INVALID,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    UNAUTHENTICATED,
    ProblemError,
)
from api.routes import (
    administration,
    alerts,
    billing,
    city,
    edits,
    ingest,
    meters,
    readings_in,
    replays,
    scorecards,
    session,
    users,
    zones,
)
from api.routes.machines import Checks, machine_routes
from api.settings import ApiSettings
from api.sso import SingleSignOn
from water.city_time import CityTime
from water.clock import Clock

SESSION_COOKIE = "jieshui_session"

_DESCRIPTION = """节水平台接口。时刻一律带时区（ISO 8601），体积 m³，流量 m³/h，比率为小数。
每个列表都可翻页（items, next）、可下载 CSV（?format=csv）；错误按 RFC 9457 返回。

Instants carry their zone (ISO 8601), volumes are m³, flows m³/h, rates fractions of one. Every list
comes in pages (items, next) and as CSV (?format=csv); errors are RFC 9457 problem documents."""

_SUBJECTS = (
    session, users, zones, meters, edits, billing, alerts, city,
    ingest, scorecards, replays, readings_in, administration,
)  # fmt: skip


def create_app(
    settings: ApiSettings,
    *,
    registry: RegistryQueries,
    readings: ReadingQueries,
    ingest: IngestQueries,
    alerts: AlertActions,
    edits: EditQueries,
    editing: Editing,
    changes: MeterChanging,
    jobs: Jobs,
    accounts: Accounts,
    clock: Clock,
    city: CityTime,
    metrics: CollectorRegistry,
    checks: Checks | None = None,
    sso: SingleSignOn | None = None,
    door: Door | None = None,
) -> FastAPI:
    """The HTTP API and, unless switched off, the dashboard.

    `checks` are asked by /readyz: name → something that raises when it does not answer.
    With `sso` people may also come in through their organisation's provider; with a `door`
    readings may be pushed.
    """
    context = ApiContext(
        settings=settings,
        registry=registry,
        readings=readings,
        ingest=ingest,
        alerts=alerts,
        edits=edits,
        editing=editing,
        changes=changes,
        jobs=jobs,
        accounts=accounts,
        clock=clock,
        city=city,
        attempts=Attempts(settings),
        sso=sso,
        door=door,
    )
    app = FastAPI(
        title=settings.title,
        version="1",
        description=_DESCRIPTION,
        openapi_url="/api/openapi.json",
        # The stock documentation pages load their scripts from other people's servers.
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    _add_middleware(app, context, metrics)
    app.include_router(machine_routes(checks or {}, metrics))
    app.include_router(_subjects())
    _describe(app)
    _answer_unknown_paths(app)
    if settings.pages:
        _mount_pages(app, context)
    return app


def _subjects() -> APIRouter:
    routes = APIRouter(
        responses=problems.described(BAD_REQUEST, UNAUTHENTICATED, INVALID),
        dependencies=[Depends(refuse_nul), Depends(refuse_unknown)],
    )
    for subject in _SUBJECTS:
        routes.include_router(subject.routes)
    return routes


def _add_middleware(app: FastAPI, context: ApiContext, metrics: CollectorRegistry) -> None:
    # The last one added is the outermost.
    app.add_middleware(
        SessionMiddleware,
        secret_key=context.settings.secret,
        session_cookie=SESSION_COOKIE,
        max_age=context.settings.session_hours * 3600,
        same_site="lax",
        https_only=context.settings.secure_cookies,
    )
    app.add_middleware(SameOriginMiddleware)
    app.add_middleware(ContextMiddleware, context=context)
    app.add_middleware(MetricsMiddleware, registry=metrics)
    app.add_middleware(HeadersMiddleware, https_only=context.settings.secure_cookies)


def _describe(app: FastAPI) -> None:
    def schema() -> dict[str, object]:
        if app.openapi_schema is None:
            described = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            described["components"]["schemas"] |= problems.schemas()
            app.openapi_schema = described
        return app.openapi_schema

    app.openapi = schema


def _answer_unknown_paths(app: FastAPI) -> None:
    # Before the pages, which answer every other path with a page of their own.
    known = list(app.routes)

    @app.api_route(
        "/api/{path:path}",
        methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        include_in_schema=False,
    )
    def answer_unknown(request: Request, path: str) -> None:
        if any(route.matches(request.scope)[0] is Match.PARTIAL for route in known):
            raise ProblemError(METHOD_NOT_ALLOWED, f"{request.method} /api/{path}")
        raise ProblemError(NOT_FOUND, f"/api/{path}")


def _mount_pages(app: FastAPI, context: ApiContext) -> None:
    from api import pages  # noqa: PLC0415 (NiceGUI takes seconds to import; an API alone needs none)

    pages.mount(app, context)
