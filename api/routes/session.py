"""Log-in, log-out, who asks, change of password."""

from fastapi import APIRouter, Request

from api.models import LogIn, Me, PasswordChange
from api.problems import (
    INVALID,
    LOG_IN_REFUSED,
    TOO_MANY_ATTEMPTS,
    UNAUTHENTICATED,
    ProblemError,
    described,
)
from api.rights import key_of, viewer_of_request
from api.routes import PREFIX
from api.session import change_password, current_account, log_in, log_out
from water.pages import Row
from water.viewer import Viewer

routes = APIRouter(prefix=PREFIX, tags=["会话 Session"])


@routes.post(
    "/session",
    response_model=Me,
    summary="登录 Log in",
    responses=described(LOG_IN_REFUSED, TOO_MANY_ATTEMPTS),
)
def post_session(request: Request, body: LogIn) -> Row:
    """Begin a session; it is carried by a signed cookie."""
    return _account_as_me(log_in(request, body.login, body.password))


@routes.delete("/session", status_code=204, summary="退出 Log out")
def delete_session(request: Request) -> None:
    """End every session of the account, in this browser and in others."""
    log_out(request)


@routes.get(
    "/me", response_model=Me, summary="当前身份 Who asks", responses=described(UNAUTHENTICATED)
)
def get_me(request: Request) -> Row:
    """Role and scope of the key or account that asks, also before its password is changed."""
    if key_of(request) is None:
        account = current_account(request)
        if account is not None:
            return _account_as_me(account)
    return _viewer_as_me(viewer_of_request(request))


@routes.post(
    "/me/password",
    status_code=204,
    summary="修改密码 Change the password",
    responses=described(UNAUTHENTICATED, TOO_MANY_ATTEMPTS),
)
def post_password(request: Request, body: PasswordChange) -> None:
    """This session goes on; the account's other sessions end."""
    if current_account(request) is None:
        raise ProblemError(UNAUTHENTICATED, "only people who are logged in have a password")
    try:
        change_password(request, body.old, body.new)
    except ValueError as error:
        raise ProblemError(INVALID, str(error)) from None


def _account_as_me(account: Row) -> Row:
    return {
        "name": account["login"],
        "role": account["role"],
        "scope": account["scope"],
        "must_change": account["must_change"],
    }


def _viewer_as_me(viewer: Viewer) -> Row:
    return {"name": viewer.name, "role": viewer.role, "scope": viewer.scope}
