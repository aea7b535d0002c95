"""The servers of a production installation, started as programs of this machine for a while."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import psycopg
from tenacity import RetryError, retry, retry_if_exception_type, stop_after_delay, wait_fixed

from jieshui.broker import HOST, free_port
from jieshui.errors import JieshuiError

ORGANISATION = "jieshui"
BUCKET = "water"
_PATIENCE_S = 30
_DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian keeps PostgreSQL's programs, a folder a version."""


class Program:
    """One server in a child process of its own session, with its log in its folder."""

    name = "server"

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the server says of itself."""
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        return self._process.pid if self._process else None

    def _run(self, command: list[str], answers: Callable[[], object], **options: Any) -> None:
        with self.log.open("ab") as out:
            self._process = subprocess.Popen[bytes](
                command, stdout=out, stderr=out, start_new_session=True, **options
            )

        def answers_yet() -> None:
            if self._process is None or self._process.poll() is not None:
                raise JieshuiError(f"{self.name} ended at once; its log is {self.log}")
            answers()

        try:
            until_it_answers(answers_yet)
        except RetryError:
            self.stop()
            raise JieshuiError(f"{self.name} did not start; its log is {self.log}") from None
        except JieshuiError:
            self.stop()
            raise

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it; safe to call twice."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


class InfluxDB(Program):
    """InfluxDB 2 with one organisation, one bucket and a token that may do everything."""

    name = "influxd"

    def __init__(self, program: str, folder: Path, token: str = "") -> None:
        super().__init__(folder)
        self._program = program
        self.organisation = ORGANISATION
        self.bucket = BUCKET
        self.token = token or secrets.token_urlsafe(32)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    @property
    def token_file(self) -> Path:
        """Holds the token, for the configuration."""
        return self.folder / "token"

    def start(self) -> None:
        """Start it, set it up when it is new, and return once it answers.

        Raises:
            JieshuiError: it doesn't answer; the message names its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._keep_token()
        self._run(
            [
                self._program,
                f"--bolt-path={self.folder / 'influxd.bolt'}",
                f"--engine-path={self.folder / 'engine'}",
                f"--sqlite-path={self.folder / 'influxd.sqlite'}",
                f"--http-bind-address={HOST}:{self.port}",
                "--reporting-disabled",
                "--pprof-disabled",
                "--log-level=warn",
            ],
            lambda: set_up_influxdb(self.url, self.token),
        )

    def _keep_token(self) -> None:
        """Written before the server learns it: whatever ends us between, it opens the server."""
        if self.token_file.exists():
            self.token = self.token_file.read_text(encoding="ascii").strip()
            return
        aside = self.token_file.with_suffix(".new")
        aside.touch(mode=0o600)
        aside.write_text(self.token, encoding="ascii")
        aside.replace(self.token_file)


class PostgreSQL(Program):
    """PostgreSQL for whoever reaches the loopback of this machine: demonstrations and tests only.

    It refuses to run as root; the package's own user postgres runs it then.
    """

    name = "postgresql"

    def __init__(self, programs: Path, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self._programs = programs
        self._options = options

    @property
    def url(self) -> str:
        """Its SQLAlchemy URL."""
        return f"postgresql+psycopg://jieshui@{HOST}:{self.port}/postgres"

    def start(self) -> None:
        """Start it, with a new cluster where there is none, and return once it answers.

        Raises:
            JieshuiError: it doesn't answer; the message names its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        data = self.folder / "data"
        options = _as_postgres(self.folder)
        if not (data / "PG_VERSION").exists():
            made = subprocess.run(
                [self._programs / "initdb", "-D", data, "-A", "trust", "-U", "jieshui",
                 "-E", "UTF8", "--locale", "C"],
                check=False, capture_output=True, text=True, **options,
            )  # fmt: skip
            if made.returncode:
                raise JieshuiError(f"PostgreSQL can't make a cluster: {made.stderr.strip()}")
        self._run(
            [str(self._programs / "postgres"), "-D", str(data), "-p", str(self.port),
             "-k", "", "-h", HOST, *self._options],
            self._connect, **options,
        )  # fmt: skip

    def _connect(self) -> None:
        psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=2).close()

    def stop(self) -> None:
        """End it without waiting for those who are still connected; safe to call twice."""
        if self._process is not None:
            # SIGINT is its "fast" shutdown: connections are closed, nothing committed is lost.
            self._process.send_signal(2)
        super().stop()


def _as_postgres(folder: Path) -> dict[str, Any]:
    if os.getuid():
        return {"cwd": folder}
    for parent in folder.parents:
        if not parent.stat().st_mode & 0o001:
            raise JieshuiError(
                f"PostgreSQL does not run as root, and its user postgres may not pass {parent}: "
                "take another --folder, or start the demonstration as somebody else"
            )
    shutil.chown(folder, "postgres", "postgres")
    return {"cwd": folder, "user": "postgres", "group": "postgres", "extra_groups": []}


def find_influxd() -> str | None:
    """The influxd of this machine: on the path, else the one that `make servers` has built."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jieshui"
    built = _newest_first(caches.glob("influxd-*/influxd"))
    return shutil.which("influxd") or (str(built[0]) if built else None)


def find_postgresql() -> Path | None:
    """The folder with PostgreSQL's programs; Debian keeps it off the path."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).parent] if on_path else []
    found += _newest_first(_DEBIAN.glob("*/bin"))
    return next((folder for folder in found if (folder / "initdb").exists()), None)


def _newest_first(programs: Iterable[Path]) -> list[Path]:
    """In the order of the version that the folder above is named for."""

    def version(program: Path) -> tuple[int, ...]:
        return tuple(int(number) for number in re.findall(r"\d+", program.parent.name))

    return sorted(programs, key=version, reverse=True)


def find_programs() -> tuple[str, Path]:
    """Where influxd is, and the folder of PostgreSQL's programs.

    Raises:
        JieshuiError: naming the one that is missing.
    """
    influxd, postgresql = find_influxd(), find_postgresql()
    if influxd is None:
        raise JieshuiError("influxd is not on this machine: make servers builds it")
    if postgresql is None:
        raise JieshuiError("PostgreSQL is not on this machine: make servers")
    return influxd, postgresql


def set_up_influxdb(url: str, token: str) -> bool:
    """Make the first user, organisation, bucket and token; False where they were there already."""
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as http:
        if not http.get("/api/v2/setup").raise_for_status().json()["allowed"]:
            return False
        made = http.post(
            "/api/v2/setup",
            json={
                "username": ORGANISATION,
                "password": secrets.token_urlsafe(16),
                "org": ORGANISATION,
                "bucket": BUCKET,
                "token": token,
            },
        )
        made.raise_for_status()
    return True


@retry(
    stop=stop_after_delay(_PATIENCE_S),
    wait=wait_fixed(0.1),
    retry=retry_if_exception_type((OSError, httpx.HTTPError, psycopg.OperationalError)),
)
def until_it_answers(answers: Callable[[], object]) -> None:
    """Ask a server that is starting until it answers.

    Raises:
        RetryError: it didn't in half a minute.
    """
    answers()
