"""The broker's folder: made once, then logins come and go."""

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from jieshui.errors import JieshuiError
from jieshui.mosquitto.authority import Authority, server_names
from jieshui.mosquitto.files import PUBLIC, make_folder, write_whole
from jieshui.mosquitto.passwords import load_logins, make_password, remove_login, set_password
from storage.locks import lock_in_turn

OURS = "jieshui"
"""The login of ingest."""

_CLIENT_CERTIFICATES = """require_certificate true
crlfile {folder}/crl.pem
"""


@dataclass(frozen=True, slots=True)
class HandOver:
    """What a new supplier gets; `certificate` and `key` are PEM, and each a secret but the first.

    `hosts` are the names of the broker, `ca` the certificate to trust.
    """

    supplier: str
    hosts: Sequence[str]
    ca: bytes
    password: str
    certificate: bytes
    key: bytes


class BrokerFolder:
    """Everything that Mosquitto reads: configuration, rights, logins, certificates.

    The authority's own key lies in a folder beside it (`…-authority`), where no broker looks.
    """

    def __init__(self, folder: Path) -> None:
        self.configuration = folder / "mosquitto.conf"
        self.password_file = folder / "jieshui.password"
        self.ca_file = folder / "ca.pem"
        self._folder = folder
        self._authority_folder = folder.resolve().with_name(f"{folder.resolve().name}-authority")
        self._acl = folder / "acl"
        self._crl = folder / "crl.pem"
        self._logins = folder / "passwords"
        self._certificate, self._key = folder / "server.pem", folder / "server.key"

    @contextmanager
    def alone(self) -> Generator[None]:
        """Hold the folder for a command: two at once would each forget what the other revoked.

        Raises:
            StoreUnavailableError: another command holds on for a minute.
        """
        make_folder(self._authority_folder)
        with lock_in_turn(self._authority_folder / "lock"):
            yield

    def make(
        self,
        hosts: Sequence[str],
        *,
        port: int,
        seen_as: Path | None,
        data: Path | None,
        client_certificates: bool,
    ) -> None:
        """Make what is missing; what is there stays as it is.

        Args:
            hosts: names and addresses under which clients reach the broker, best known first.
            port: of its TLS listener.
            seen_as: where the broker finds the folder; None = where it is.
            data: where the broker keeps its queues; None = `data` in the folder.
            client_certificates: whether a client must show a certificate beside its password.

        Raises:
            JieshuiError: a certificate is to be made and there is no host.
        """
        make_folder(self._folder)
        authority = self._authority()
        self._publish(authority)
        if not (self._certificate.exists() and self._key.exists()):
            if not hosts:
                raise JieshuiError("--host says under which name clients reach the broker")
            self._save_server(authority, hosts)
        if not self.password_file.exists():
            password = make_password()
            # The hash first: a password file without its login would be taken for a whole one.
            set_password(self._logins, OURS, password)
            write_whole(self.password_file, password + "\n")
        folder = (seen_as or self._folder).absolute()
        if data is None:
            data = folder / "data"
            make_folder(self._folder / "data")
        words = {
            "port": port,
            "folder": folder,
            "data": data,
            "client_certificates": _CLIENT_CERTIFICATES.format(folder=folder)
            if client_certificates
            else "",
        }
        self._write_once(self._acl, _template("acl"))
        self._write_once(self.configuration, _template("mosquitto.conf").format(**words))

    def _authority(self) -> Authority:
        """The authority of this broker, founded with the broker's folder and never again.

        Raises:
            JieshuiError: the broker trusts one whose key isn't here.
        """
        if self.ca_file.exists() and not (self._authority_folder / "ca.key").exists():
            raise JieshuiError(
                f"{self._authority_folder} does not hold the key of the authority that this broker "
                "trusts: bring that folder here; a new authority would shut everybody out"
            )
        make_folder(self._authority_folder)
        return Authority(self._authority_folder)

    def _publish(self, authority: Authority) -> None:
        """Give the broker what it needs of the authority."""
        write_whole(self.ca_file, authority.certificate_file.read_bytes(), PUBLIC)
        write_whole(self._crl, authority.crl_file.read_bytes(), PUBLIC)

    def _save_server(self, authority: Authority, hosts: Sequence[str]) -> None:
        certificate, key = authority.issue_server(hosts)
        # Between the two Mosquitto would find a key that doesn't fit; it then keeps the old pair.
        write_whole(self._key, key)
        write_whole(self._certificate, certificate, PUBLIC)

    def _write_once(self, path: Path, text: str) -> None:
        if not path.exists():
            write_whole(path, text)

    def hosts(self) -> Sequence[str]:
        """The names and addresses that the broker's certificate is for, best known first."""
        self._require_made()
        return server_names(self._certificate.read_bytes())

    def renew_server(self) -> Sequence[str]:
        """A new certificate and key for the broker, for the same names; the names."""
        hosts = self.hosts()
        self._save_server(self._authority(), hosts)
        return hosts

    def add_supplier(self, supplier: str, *, replace: bool = False) -> HandOver:
        """A login, a password and a certificate for a supplier.

        Args:
            supplier: its id in the registry, which becomes its login.
            replace: whether credentials that it has are replaced; the old ones end.

        Raises:
            JieshuiError: the id can't be a login, or has one already.
        """
        self._require_made()
        _require_login(supplier)
        if supplier in load_logins(self._logins) and not replace:
            raise JieshuiError(
                f"{supplier} has a login: --replace makes a new password and certificate and ends "
                "the old ones, `jieshui broker revoke` takes the login away"
            )
        authority, password = self._authority(), make_password()
        authority.revoke(supplier)
        certificate, key = authority.issue_supplier(supplier)
        set_password(self._logins, supplier, password)
        self._publish(authority)
        return HandOver(
            supplier, self.hosts(), self.ca_file.read_bytes(), password, certificate, key
        )

    def revoke(self, supplier: str) -> None:
        """Take away a supplier's login and revoke its certificate.

        Raises:
            JieshuiError: it has no login, or it is our own.
        """
        self._require_made()
        _require_login(supplier)
        if supplier not in load_logins(self._logins):
            raise JieshuiError(f"{supplier} has no login here; `jieshui broker list` shows all")
        remove_login(self._logins, supplier)
        authority = self._authority()
        authority.revoke(supplier)
        self._publish(authority)

    def suppliers(self) -> dict[str, datetime | None]:
        """Every login but our own → the end of its certificate; None where it can't be seen."""
        self._require_made()
        logins = sorted(set(load_logins(self._logins)) - {OURS})
        if not self._authority_folder.exists():
            return dict.fromkeys(logins)
        authority = self._authority()
        return {login: authority.end_of(login) for login in logins}

    def _require_made(self) -> None:
        if not self.configuration.exists():
            raise JieshuiError(f"{self._folder} is no broker's folder; `jieshui broker init` first")


def _require_login(supplier: str) -> None:
    """Refuse what a topic, the password file or a file's name would read otherwise.

    Raises:
        JieshuiError: naming the id.
    """
    if supplier == OURS:
        raise JieshuiError(f"{OURS} is the login of ingest itself")
    # 64 bytes is the longest common name of a certificate.
    if not re.fullmatch(r"\w[\w.-]*", supplier) or len(supplier.encode()) > 64:
        raise JieshuiError(
            f"{supplier!r} can't be a login: letters, digits, '.', '_' and '-' only, 64 bytes"
        )


def _template(name: str) -> str:
    return (files("jieshui.mosquitto") / name).read_text(encoding="utf-8")
