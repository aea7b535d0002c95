"""Errors as RFC 9457 problem details, one stable `type` a kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from api.attempts import TooManyAttemptsError
from api.session import LogInRefusedError

MEDIA_TYPE = "application/problem+json"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem; its name is for ever."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """The `type` of the problem document."""
        return f"urn:jieshui:problem:{self.name}"


BAD_REQUEST = Kind("bad-request", 400, "请求有误 Bad request")
BAD_CURSOR = Kind("bad-cursor", 400, "翻页游标无效 Not a cursor of this list")
UNAUTHENTICATED = Kind("unauthenticated", 401, "请先登录 Not signed in")
LOG_IN_REFUSED = Kind("log-in-refused", 401, "用户名或密码错误 Log-in and password don't fit")
FORBIDDEN = Kind("forbidden", 403, "没有权限 Not allowed")
CROSS_ORIGIN = Kind("cross-origin", 403, "拒绝跨站请求 Cross-origin request refused")
PASSWORD_CHANGE_REQUIRED = Kind(
    "password-change-required", 403, "请先修改密码 Change the password first"
)
NOT_FOUND = Kind("not-found", 404, "没有找到 Not found")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "不支持此方法 Method not allowed")
CONFLICT = Kind("conflict", 409, "状态冲突 Conflict")
INVALID = Kind("invalid", 422, "参数无效 Invalid parameters")
TOO_MANY_ATTEMPTS = Kind("too-many-attempts", 429, "尝试次数过多 Too many attempts")
TOO_LARGE = Kind("too-large", 413, "请求体过大 The body is too large")
UNSUPPORTED = Kind("unsupported-media-type", 415, "不支持的编码 Unsupported media type")
CROWDED = Kind("crowded", 429, "待处理数据过多，请稍后重试 Too much waits already")
UNAVAILABLE = Kind("unavailable", 503, "暂不可用 Not available now")
INTERNAL = Kind("internal", 500, "服务器内部错误 Internal error")

KINDS = (
    BAD_REQUEST, BAD_CURSOR, UNAUTHENTICATED, LOG_IN_REFUSED, FORBIDDEN, CROSS_ORIGIN,
    PASSWORD_CHANGE_REQUIRED, NOT_FOUND, METHOD_NOT_ALLOWED, CONFLICT, INVALID,
    TOO_MANY_ATTEMPTS, TOO_LARGE, UNSUPPORTED, CROWDED, UNAVAILABLE, INTERNAL,
)  # fmt: skip
_BY_STATUS = {kind.status: kind for kind in reversed(KINDS)}


class InvalidField(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="参数位置 place of the parameter, e.g. query.start")
    says: str


class Problem(BaseModel):
    """错误说明 Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    errors: list[InvalidField] = []


class ProblemError(Exception):
    """Raised by routes: ends the request with this problem."""

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[InvalidField] = (),
    ) -> None:
        super().__init__(f"{kind.name}: {detail}")
        self.kind = kind
        self.detail = detail
        self.headers = headers
        self.errors = list(errors)


def problem_response(path: str, error: ProblemError) -> JSONResponse:
    """The problem document of an error."""
    kind = error.kind
    problem = Problem(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        detail=error.detail,
        instance=path,
        errors=error.errors,
    )
    return JSONResponse(
        problem.model_dump(exclude={"errors"} if not error.errors else None),
        kind.status,
        headers=dict(error.headers or {}),
        media_type=MEDIA_TYPE,
    )


def described(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route for OpenAPI: problem documents of these kinds."""
    return {
        kind.status: {
            "description": kind.title,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for kind in kinds
    }


def schemas() -> dict[str, Any]:
    """The components of OpenAPI that `described` refers to."""
    _, found = models_json_schema(
        [(Problem, "serialization")], ref_template="#/components/schemas/{model}"
    )
    return found["$defs"]


def install(app: FastAPI) -> None:
    """Turn every error of the app into a problem document."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(LogInRefusedError, _on_log_in_refused)
    app.add_exception_handler(TooManyAttemptsError, _on_too_many_attempts)
    app.add_exception_handler(Exception, _on_bug)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)  # noqa: S101 (Starlette hands each its own kind)
    return problem_response(request.url.path, error)


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 (Starlette hands each its own kind)
    kind = _BY_STATUS.get(error.status_code) or Kind(
        f"http-{error.status_code}", error.status_code, str(error.detail)
    )
    found = ProblemError(kind, str(error.detail), headers=error.headers)
    return problem_response(request.url.path, found)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (Starlette hands each its own kind)
    errors = [
        InvalidField(where=".".join(map(str, each["loc"])), says=each["msg"])
        for each in error.errors()
    ]
    detail = "; ".join(f"{each.where}: {each.says}" for each in errors)
    return problem_response(request.url.path, ProblemError(INVALID, detail, errors=errors))


async def _on_log_in_refused(request: Request, _error: Exception) -> JSONResponse:
    return problem_response(request.url.path, ProblemError(LOG_IN_REFUSED))


async def _on_too_many_attempts(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TooManyAttemptsError)  # noqa: S101 (Starlette hands each its own kind)
    headers = {"Retry-After": str(error.retry_after_s)}
    found = ProblemError(TOO_MANY_ATTEMPTS, str(error), headers=headers)
    return problem_response(request.url.path, found)


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    log.error("request failed", path=request.url.path, exc_info=error)
    return problem_response(request.url.path, ProblemError(INTERNAL))
