"""Who looks at a page, in which language, through which ports."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request

from api.context import ApiContext, context_of
from api.pages.texts import LANGUAGES, Texts
from api.session import current_account, viewer_of
from water.pages import Row
from water.viewer import Viewer

LANGUAGE_COOKIE = "language"


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at one page by somebody who is logged in."""

    request: Request
    context: ApiContext
    viewer: Viewer
    account: Row
    texts: Texts
    suppliers: Mapping[str, str]
    """Names of the suppliers in sight by id."""

    @property
    def zone(self) -> ZoneInfo:
        """The city's zone, in which every time is shown."""
        return self.context.city.zone

    def name_supplier(self, supplier_id: str) -> str:
        """A supplier's name with its id; the id alone where there is no name."""
        name = self.suppliers.get(supplier_id)
        return f"{name} ({supplier_id})" if name else supplier_id

    def query(self, name: str) -> str:
        """A parameter of the address; "" when it is not there."""
        return self.request.query_params.get(name, "")

    def address(self, **changes: str) -> str:
        """This page's address with some parameters changed; empty ones are left out."""
        kept = dict(self.request.query_params) | changes
        query = urlencode({name: value for name, value in kept.items() if value})
        return f"{self.request.url.path}?{query}" if query else self.request.url.path


def open_visit(request: Request) -> Visit | None:
    """The visit of who is logged in (reads the account again); None for anybody else.

    Also None for those who must change their one-time password first: no page but that one is
    theirs yet.
    """
    account = current_account(request)
    if account is None or account["must_change"]:
        return None
    context, viewer = context_of(request), viewer_of(account)
    suppliers = context.registry.supplier_names(viewer)
    return Visit(request, context, viewer, account, texts_of(request), suppliers)


def reopen(visit: Visit) -> Visit | None:
    """The visit of an open page as it stands by now; None when it is not the same viewer's.

    A page stays open in its browser when its session ends. Whatever a button of it does begins
    here; on None it sends the browser to `visit.address()`, where the rights of now decide.
    """
    now = open_visit(visit.request)
    return now if now is not None and now.viewer == visit.viewer else None


def texts_of(request: Request) -> Texts:
    """The texts in the language of this browser's cookie; Chinese without one."""
    language = request.cookies.get(LANGUAGE_COOKIE, "")
    return Texts(language if language in LANGUAGES else LANGUAGES[0])


def local_path(wanted: str) -> str:
    """Where to go on: a path of this service, never another host's address."""
    local = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if local else "/"
