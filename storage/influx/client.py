# pyright: standard
# influxdb_client types little of what it gives: strict rules have nothing to hold on to.
"""One connection pool to one InfluxDB 2, and the only place where its errors become ours."""

import re
from collections.abc import Callable
from typing import TypeVar

import urllib3
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.dialect import Dialect
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_before_delay
from urllib3.exceptions import HTTPError

from storage.errors import StoreError, StoreUnavailableError
from storage.influx.settings import InfluxSettings

_PATIENCE_S = 10.0
"""How long a request that the server puts off (429, 503) is repeated in place."""

_PAUSE_S = 0.25
"""The pause before a repetition where the server names none; doubled each time."""

_PUT_OFF = frozenset({429, 503})
_REFUSED = frozenset({400, 413, 422})
"""Statuses with which a server says that lines are not to be had: 2.7 takes the other lines."""

_FAILED_HALFWAY = re.compile(rb"(?:^|\r\n),error,reference\r\n,(.*?),\d*\r\n\s*$", re.DOTALL)
"""How a query ends that failed after its first row: with a table of the error, status 200."""

_TAIL_BYTES = 8_192

_DROPPED = re.compile(r"\bdropped=(\d+)")

Answer = TypeVar("Answer")


class LinesRefusedError(Exception):
    """The server takes some of the lines of a request and refuses others for good.

    Attributes:
        reason: what the server says, in its words.
        dropped: how many lines it refused; 0 where it doesn't say.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        counted = _DROPPED.search(reason)
        self.dropped = int(counted[1]) if counted else 0


class InfluxClient:
    """Writes line protocol and asks in Flux; any thread may call any method.

    Every method raises StoreUnavailableError where the server is away, overloaded or failing
    (nothing or a part was done: repeat it) and StoreError where a setting is wrong.

    Args:
        settings: the server, the bucket and the right to use it.
    """

    def __init__(self, settings: InfluxSettings) -> None:
        self.settings = settings
        self.client = InfluxDBClient(
            url=settings.url,
            token=settings.token,
            org=settings.organisation,
            timeout=int(settings.timeout_s * 1000),
            ssl_ca_cert=str(settings.ca_file) if settings.ca_file else None,
            connection_pool_maxsize=8,
        )
        self._write_api = self.client.write_api(write_options=SYNCHRONOUS)
        self._query_api = self.client.query_api()

    def write(self, lines: bytes) -> None:
        """Write lines (a newline between them, instants in seconds); durable when it returns.

        Raises:
            LinesRefusedError: one or more of the lines are refused, the others are written.
        """
        self.call(
            lambda: self._write_api.write(
                bucket=self.settings.bucket,
                record=lines,
                write_precision=WritePrecision.S,  # pyright: ignore[reportArgumentType] - a str there
            ),
            refused=LinesRefusedError,
        )

    def csv(self, flux: str) -> bytes:
        """The answer to a query as CSV, whole: no annotations, and no header before each table.

        Not compressed: that costs the server more than the network gains.
        """
        dialect = Dialect(
            header=False,
            delimiter=",",
            annotations=[],
            comment_prefix="#",
            date_time_format="RFC3339",
        )

        def ask() -> bytes:
            response: urllib3.BaseHTTPResponse = self._query_api.query_raw(flux, dialect=dialect)
            return response.data

        answer = self.call(ask)
        if failure := _FAILED_HALFWAY.search(answer[-_TAIL_BYTES:]):
            raise StoreUnavailableError(f"{self.settings.url}: {failure[1].decode()}")
        return answer

    def call(
        self, request: Callable[[], Answer], refused: Callable[[str], Exception] = StoreError
    ) -> Answer:
        """Make a request of influxdb_client; repeat it for a while where the server asks for that.

        Args:
            request: what to do; doing it again must do no harm.
            refused: makes the error for a request that the server won't have as it is.
        """
        tries = Retrying(
            retry=retry_if_exception(_is_put_off),
            wait=_pause,
            stop=stop_before_delay(_PATIENCE_S),
            reraise=True,
        )
        try:
            return tries(request)
        except InfluxDBError as error:
            raise self._translate(error, refused) from error
        except (HTTPError, OSError) as error:
            raise StoreUnavailableError(f"{self.settings.url}: {error}") from error

    def _translate(self, error: InfluxDBError, refused: Callable[[str], Exception]) -> Exception:
        settings = self.settings
        status = error.status if isinstance(error, ApiException) else None
        said = _words(error)
        if "organization name" in said:  # 404 from the write path, 400 from the query path
            return StoreError(f"influx.organisation: {settings.url} does not know it: {said}")
        if status == 404:
            return StoreError(f"influx.bucket: {settings.url} does not know it: {said}")
        if status in _REFUSED:
            return refused(said)
        if status == 0 and "CERTIFICATE_VERIFY_FAILED" in said:
            return StoreError(f"influx.ca_file: the certificate of {settings.url}: {said}")
        if status in {401, 403}:
            return StoreError(
                f"influx.token_file: {settings.url} does not let this token use the bucket "
                f"{settings.bucket!r} of {settings.organisation!r}: {said}"
            )
        return StoreUnavailableError(f"{settings.url}: {said}")

    def close(self) -> None:
        """Close every connection."""
        self._write_api.close()
        self.client.close()


def _is_put_off(error: BaseException) -> bool:
    return isinstance(error, ApiException) and error.status in _PUT_OFF


def _pause(state: RetryCallState) -> float:
    """As long as the server says (Retry-After in seconds), else longer each time."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, InfluxDBError) else None
    try:
        return float(asked or "")
    except ValueError:
        return _PAUSE_S * 2 ** (state.attempt_number - 1)


def _words(error: InfluxDBError) -> str:
    """What the server says; the client leaves bytes as they came."""
    said = error.message
    if isinstance(error, ApiException) and not error.body:
        said = error.reason
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
