"""What is said where there is no page: a sentence in the visitor's language, and a way home."""

from html import escape

from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.pages.texts import Texts
from api.pages.visit import texts_of

_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body style="font-family: sans-serif; max-width: 32rem; margin: 15vh auto; padding: 0 1rem">
<h1 style="font-size: 1.3rem">{sentence}</h1>
<p><a href="/" style="color: #0b5a7d">{home}</a></p>
</body>
</html>
"""


async def answer_missing(request: Request, error: Exception) -> Response:
    """A page for browsers; whoever asks for no page gets what FastAPI answers."""
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(_draw(texts_of(request)), status_code=404)
    if not isinstance(error, HTTPException):
        error = HTTPException(404)
    return await http_exception_handler(request, error)


def _draw(texts: Texts) -> str:
    return _PAGE.format(
        language="zh-CN" if texts.language == "zh" else "en",
        title=escape(texts["product"]),
        sentence=escape(texts["no_page"]),
        home=escape(texts["to_home"]),
    )
