"""The log-in and the change of one's password: plain forms, so that they set the session cookie.

The forms post to routes of their own; what is allowed is decided by api.session.
"""

from urllib.parse import quote

from fastapi import APIRouter, Form
from nicegui import ui
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api import session
from api.attempts import TooManyAttemptsError
from api.context import context_of
from api.pages.frame import language_switch
from api.pages.sso import START
from api.pages.texts import Texts
from api.pages.visit import local_path, texts_of

forms = APIRouter(include_in_schema=False)

_REFUSALS = {
    "wrong": "log_in_refused",
    "limited": "log_in_limited",
    "sso_failed": "sso_failed",
    "sso_expired": "sso_expired",
    "sso_no_account": "sso_no_account",
}


def show_log_in(request: Request) -> None:
    """The page with which everything begins."""
    texts = texts_of(request)
    wanted = quote(local_path(request.query_params.get("next", "/")), safe="")
    with _door(request, texts, texts["log_in"], f"/log-in?next={wanted}"):
        _say(texts, _REFUSALS.get(request.query_params.get("refused", "")))
        _field(texts["login"], "login", "username")
        _field(texts["password"], "password", "current-password")
        _submit(texts["log_in"])
        sso = context_of(request).sso
        if sso:
            _sign_on(sso.label, f"{START}?next={wanted}")


async def show_password(request: Request) -> Response | None:
    """Where a one-time password is changed, or any other."""
    account = await run_in_threadpool(session.current_account, request)
    if account is None:
        return RedirectResponse("/log-in", status_code=303)
    texts = texts_of(request)
    with _door(request, texts, texts["change_password"], "/password"):
        if account["must_change"]:
            ui.label(texts["must_change"]).classes("js-demo").style("margin-bottom: 12px")
        _say(texts, _PASSWORD_REFUSALS.get(request.query_params.get("refused", "")))
        _field(texts["old_password"], "old", "current-password")
        _field(texts["new_password"], "new", "new-password")
        _field(texts["repeat_password"], "repeated", "new-password")
        _submit(texts["save"])
    return None


_PASSWORD_REFUSALS = {
    "differ": "passwords_differ",
    "limited": "log_in_limited",
    "refused": "password_refused",
}


@forms.post("/log-in")
async def log_in(
    request: Request,
    login: str = Form(""),
    password: str = Form(""),
    next: str = "/",  # noqa: A002 (the name of the parameter in the address)
) -> Response:
    """Begin a session and go where it was wanted."""
    wanted = local_path(next)
    try:
        account = await run_in_threadpool(session.log_in, request, login, password)
    except session.LogInRefusedError:
        return _back("/log-in", "wrong", wanted)
    except TooManyAttemptsError:
        return _back("/log-in", "limited", wanted)
    return RedirectResponse("/password" if account["must_change"] else wanted, status_code=303)


@forms.post("/password")
async def change_password(
    request: Request, old: str = Form(""), new: str = Form(""), repeated: str = Form("")
) -> Response:
    """Change the password and go to the first page."""
    if new != repeated:
        return _back("/password", "differ")
    try:
        await run_in_threadpool(session.change_password, request, old, new)
    except session.LogInRefusedError:
        return RedirectResponse("/log-in", status_code=303)
    except TooManyAttemptsError:
        return _back("/password", "limited")
    except ValueError:
        return _back("/password", "refused")
    return RedirectResponse("/", status_code=303)


@forms.post("/log-out")
def log_out(request: Request) -> Response:
    """End every session of the account."""
    session.log_out(request)
    return RedirectResponse("/log-in", status_code=303)


def _back(path: str, refused: str, wanted: str = "/") -> Response:
    return RedirectResponse(f"{path}?refused={refused}&next={quote(wanted, safe='')}", 303)


def _door(request: Request, texts: Texts, heading: str, action: str) -> ui.element:
    """A narrow panel in the middle with a form in it; returns the form."""
    ui.page_title(f"{heading} · {texts['product']}")
    with ui.element("main").classes("js-door js-panel"):
        with ui.element("div").classes("js-panelhead"):
            with ui.element("div").classes("js-brand"):
                ui.label(f"{texts['product']} · {texts['product_line']}")
            language_switch(request, texts["other_language"], texts.language)
        with ui.element("h2").style("margin-bottom: 12px"):
            ui.label(heading)
        return ui.element("form").props(f'method=post action="{action}"')


def _field(label: str, name: str, autocomplete: str) -> None:
    kind = "text" if name == "login" else "password"
    ui.input(label).props(
        f"name={name} type={kind} autocomplete={autocomplete} outlined dense required"
    ).style("width: 100%; margin-bottom: 10px")


def _submit(label: str) -> None:
    ui.button(label).props("type=submit unelevated no-caps color=primary").style("width: 100%")


def _sign_on(label: str, address: str) -> None:
    ui.button(label).props(f'href="{address}" outline no-caps color=primary').style(
        "width: 100%; margin-top: 10px"
    )


def _say(texts: Texts, key: str | None) -> None:
    if key:
        ui.label(texts[key]).classes("js-error").props("role=alert").style("margin-bottom: 10px")
