"""The dashboard: pages in Chinese and English on the API's own app; nothing comes from elsewhere.

Every figure comes through the ports with the visitor's Viewer; the pages decide nothing.
"""

from pathlib import Path

from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.context import ApiContext
from api.pages import (
    alert,
    alerts,
    billing,
    edit,
    edits,
    home,
    ingest,
    login,
    meter,
    scorecard,
    sso,
    user,
    users,
    zone,
    zones,
)
from api.pages.frame import serve
from api.pages.missing import answer_missing
from api.pages.texts import LANGUAGES
from api.pages.visit import LANGUAGE_COOKIE, local_path

PAGES = {
    "/": home.PAGE,
    "/users": users.PAGE,
    "/users/{user_id}": user.PAGE,
    "/zones": zones.PAGE,
    "/zones/{zone_id}": zone.PAGE,
    "/meters/{meter_id}": meter.PAGE,
    "/billing": billing.PAGE,
    "/edits": edits.PAGE,
    "/edits/{edit_id}": edit.PAGE,
    "/alerts": alerts.PAGE,
    "/alerts/{alert_id}": alert.PAGE,
    "/ingest": ingest.PAGE,
    "/ingest/suppliers/{supplier_id}": scorecard.PAGE,
}

RESPONSE_TIMEOUT_S = 30.0
_YEAR_S = 31_536_000


def mount(app: FastAPI, context: ApiContext) -> None:
    """Put the pages on an app that has its session middleware; after every other route.

    The pages find their context on the request (api.context.context_of). NiceGUI is one a process:
    the app mounted last is the one whose pages are served.
    """
    app.include_router(login.forms)
    if context.sso:
        app.include_router(sso.routes)
    _add_language_route(app, secure=context.settings.secure_cookies)
    ui.add_css(Path(__file__).with_name("theme.css"), shared=True)
    nicegui_app.colors(primary="#0b5a7d", negative="#8c1d2f", warning="#8a6100")
    ui.page("/log-in", response_timeout=RESPONSE_TIMEOUT_S)(login.show_log_in)
    ui.page("/password", response_timeout=RESPONSE_TIMEOUT_S)(login.show_password)
    for path, kind in PAGES.items():
        ui.page(path, response_timeout=RESPONSE_TIMEOUT_S)(serve(kind))
    nicegui_app.exception_handler(404)(answer_missing)
    # NiceGUI's app is one a process and adds its middleware at every mount, which Starlette refuses
    # once it has served a request; begun anew, a second app in one process (tests) has pages too.
    nicegui_app.user_middleware.clear()
    nicegui_app.middleware_stack = None
    ui.run_with(
        app,
        title=context.settings.title,
        storage_secret=context.settings.secret,
        tailwind=False,
        show_welcome_message=False,
    )


def _add_language_route(app: FastAPI, *, secure: bool) -> None:
    @app.get("/language/{language}", include_in_schema=False)
    def choose_language(request: Request, language: str) -> Response:
        response = RedirectResponse(local_path(request.query_params.get("next", "/")), 303)
        if language in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE, language, max_age=_YEAR_S, samesite="lax", secure=secure
            )
        return response
