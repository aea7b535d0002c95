"""People's sessions: a signed cookie that carries log-in, session epoch, its begin and its kind.

Every question reads the account again, so that a log-out or a changed password (both move the
epoch) or a disabled account ends a session at once, wherever its cookie was kept. Sessions need no
table; a session ends by its age, counted from the log-in, also on a page that stays open.
"""

import time

import structlog
from starlette.requests import HTTPConnection

from api.context import context_of
from water.pages import Row
from water.viewer import Role, Viewer

log = structlog.get_logger()


class LogInRefusedError(Exception):
    """Log-in and password don't fit, or the account is disabled; which of them is not said."""


def current_account(request: HTTPConnection) -> Row | None:
    """The account whose session this is, also one that must change its password first."""
    login, began = request.session.get("login"), request.session.get("began")
    if not isinstance(login, str) or not isinstance(began, int):
        return None
    context = context_of(request)
    if time.time() - began > context.settings.session_hours * 3600:
        return None
    account = context.accounts.account(login)
    if account is None or account["disabled"]:
        return None
    if account["session_epoch"] != request.session.get("epoch"):
        return None
    if request.session.get("signed_on"):
        # A one-time password is none of theirs: they came in without one.
        return account | {"must_change": False}
    return account


def must_change_password(request: HTTPConnection) -> bool:
    """Whether somebody is logged in who may do nothing but change the password."""
    account = current_account(request)
    return account is not None and bool(account["must_change"])


def current_viewer(request: HTTPConnection) -> Viewer | None:
    """Who is logged in; None for nobody and for those who must change their password first."""
    account = current_account(request)
    return None if account is None or account["must_change"] else viewer_of(account)


def viewer_of(account: Row) -> Viewer:
    """The viewer that an account makes."""
    return Viewer(account["login"], Role(account["role"]), account["scope"])


def log_in(request: HTTPConnection, login: str, password: str) -> Row:
    """Begin a session and return its account.

    Raises:
        LogInRefusedError: the password doesn't fit.
        TooManyAttemptsError: passwords were tried too often.
    """
    context = context_of(request)
    address = request.client.host if request.client else ""
    context.attempts.count(login, address)
    account = context.accounts.check_password(login, password)
    if account is None:
        log.info("log-in refused", login=login[:80], address=address)
        raise LogInRefusedError
    context.attempts.forget(login)
    _begin(request, account)
    log.info("logged in", login=account["login"], address=address)
    return account


def begin_signed_on(request: HTTPConnection, login: str) -> None:
    """Begin the session of somebody for whom the single sign-on's provider vouches.

    Raises:
        LogInRefusedError: there is no such account, or it is disabled.
    """
    account = context_of(request).accounts.account(login)
    address = request.client.host if request.client else ""
    # Looking up an account forgives what a person mistypes. A name that the provider knows is
    # nobody else's: letters may be capitals, and nothing more ("K" the Kelvin sign is no k).
    same = account is not None and login.isascii() and login.lower() == account["login"]
    if account is None or not same or account["disabled"]:
        log.info("single sign-on without an account", login=login[:80], address=address)
        raise LogInRefusedError
    _begin(request, account)
    request.session["signed_on"] = True
    log.info("signed on", login=account["login"], address=address)


def log_out(request: HTTPConnection) -> None:
    """End every session of who is logged in, also of cookies and open pages that were kept."""
    account = current_account(request)
    if account is not None:
        context_of(request).accounts.end_sessions(account["login"])
        log.info("logged out", login=account["login"])
    request.session.clear()


def change_password(request: HTTPConnection, old: str, new: str) -> None:
    """Change the password of who is logged in; this session goes on, the account's others end.

    Raises:
        LogInRefusedError: nobody is logged in.
        ValueError: the old password is wrong or the new one is refused, in a sentence.
        TooManyAttemptsError: old passwords were tried too often.
    """
    account = current_account(request)
    if account is None:
        raise LogInRefusedError
    context = context_of(request)
    context.attempts.count(account["login"], request.client.host if request.client else "")
    context.accounts.change_password(account["login"], old, new)
    context.attempts.forget(account["login"])
    changed = context.accounts.account(account["login"])
    if changed is None:
        raise LogInRefusedError
    _begin(request, changed)
    log.info("password changed", login=account["login"])


def _begin(request: HTTPConnection, account: Row) -> None:
    # Cleared first: nothing of a session from before the log-in survives it (session fixation).
    request.session.clear()
    request.session["login"] = account["login"]
    request.session["epoch"] = account["session_epoch"]
    request.session["began"] = int(time.time())
