"""What every route and page is handed: the ports, the clock and the settings."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from api.attempts import Attempts
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
from api.settings import ApiSettings
from api.sso import SingleSignOn
from water.city_time import CityTime
from water.clock import Clock


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The outside as the API sees it, wired once by create_app."""

    settings: ApiSettings
    registry: RegistryQueries
    readings: ReadingQueries
    ingest: IngestQueries
    alerts: AlertActions
    edits: EditQueries
    editing: Editing
    changes: MeterChanging
    jobs: Jobs
    accounts: Accounts
    clock: Clock
    city: CityTime
    attempts: Attempts
    sso: SingleSignOn | None
    door: Door | None


def context_of(connection: HTTPConnection) -> ApiContext:
    """The context of the app that serves a request, also below a mounted app."""
    return connection.state.context
