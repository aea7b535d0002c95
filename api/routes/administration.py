"""Accounts and keys, for administrators."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from api.models import Account, Key, KeyOnce, NewAccount, NewKey, OneTimePassword
from api.paging import Cursor, Limit, Listing, cut, list_described
from api.problems import CONFLICT, FORBIDDEN, INVALID, NOT_FOUND, ProblemError, described
from api.rights import Administrator, Context, found
from api.routes import PREFIX
from api.tables import Format, answer
from water.pages import Row

routes = APIRouter(prefix=PREFIX, tags=["管理 Administration"])


Login = Annotated[str, Path(max_length=200)]


@routes.get(
    "/accounts",
    response_model=Listing[Account],
    summary="账号列表 List accounts",
    responses=list_described(FORBIDDEN),
)
def get_accounts(
    request: Request,
    _viewer: Administrator,
    context: Context,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """People's accounts by log-in."""
    rows = context.accounts.accounts()
    return answer(
        request,
        Account,
        lambda at, count: cut(rows, ("login",), at, count),
        cursor=cursor,
        limit=limit,
        form=format,
        name="accounts",
    )


@routes.post(
    "/accounts",
    status_code=201,
    response_model=OneTimePassword,
    summary="新建账号 Make an account",
    responses=described(FORBIDDEN),
)
def post_account(body: NewAccount, viewer: Administrator, context: Context) -> Row:
    """Answers with a one-time password, shown this once."""
    try:
        password = context.accounts.create_account(
            body.login, body.name, body.role, body.scope, viewer.name
        )
    except ValueError as error:
        raise ProblemError(INVALID, str(error)) from None
    return {"login": body.login, "password": password}


@routes.post(
    "/accounts/{login}/reset-password",
    response_model=OneTimePassword,
    summary="重置密码 Replace a forgotten password",
    responses=described(FORBIDDEN, NOT_FOUND),
)
def reset_password(login: Login, viewer: Administrator, context: Context) -> Row:
    """Answers with a one-time password, shown this once; the account's sessions end."""
    found(context.accounts.account(login), "account")
    return {"login": login, "password": context.accounts.reset_password(login, viewer.name)}


@routes.post(
    "/accounts/{login}/disable",
    status_code=204,
    summary="停用账号 Disable an account",
    responses=described(FORBIDDEN, NOT_FOUND, CONFLICT),
)
def disable_account(login: Login, viewer: Administrator, context: Context) -> None:
    """Nobody comes in with it any more; the last administrator can't be disabled (409)."""
    found(context.accounts.account(login), "account")
    try:
        context.accounts.disable_account(login, viewer.name)
    except ValueError as error:
        raise ProblemError(CONFLICT, str(error)) from None


@routes.post(
    "/accounts/{login}/enable",
    status_code=204,
    summary="启用账号 Enable an account",
    responses=described(FORBIDDEN, NOT_FOUND),
)
def enable_account(login: Login, viewer: Administrator, context: Context) -> None:
    """A disabled account is let in again."""
    found(context.accounts.account(login), "account")
    context.accounts.enable_account(login, viewer.name)


@routes.get(
    "/keys",
    response_model=Listing[Key],
    summary="密钥列表 List API keys",
    responses=list_described(FORBIDDEN),
)
def get_keys(
    request: Request,
    _viewer: Administrator,
    context: Context,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: Format = None,  # noqa: A002 (the name in the address)
) -> Any:
    """API keys, also revoked ones; never the keys themselves."""
    rows = context.accounts.keys()
    return answer(
        request,
        Key,
        lambda at, count: cut(rows, ("id",), at, count),
        cursor=cursor,
        limit=limit,
        form=format,
        name="keys",
    )


@routes.post(
    "/keys",
    status_code=201,
    response_model=KeyOnce,
    summary="新建密钥 Make an API key",
    responses=described(FORBIDDEN),
)
def post_key(body: NewKey, viewer: Administrator, context: Context) -> Row:
    """Answers with the key itself, shown this once."""
    try:
        key_id, key = context.accounts.create_key(body.name, body.role, body.scope, viewer.name)
    except ValueError as error:
        raise ProblemError(INVALID, str(error)) from None
    return {"id": key_id, "key": key}


@routes.delete(
    "/keys/{key_id}",
    status_code=204,
    summary="吊销密钥 Revoke an API key",
    responses=described(FORBIDDEN, NOT_FOUND),
)
def delete_key(
    key_id: Annotated[str, Path(max_length=200)], viewer: Administrator, context: Context
) -> None:
    """The key opens nothing from now on."""
    try:
        context.accounts.revoke_key(key_id, viewer.name)
    except KeyError:
        raise ProblemError(NOT_FOUND, "no such key") from None
