"""A certificate authority of the installation's own: the broker's certificate, the suppliers'."""

import ipaddress
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from jieshui.errors import JieshuiError
from jieshui.mosquitto.files import PUBLIC, make_folder, write_whole

_AUTHORITY_DAYS = 3650
_CERTIFICATE_DAYS = 730
_EARLIER = timedelta(hours=1)
"""Certificates begin in the past: a supplier's clock may be behind ours."""


class Authority:
    """The authority in a folder: `ca.pem`, `ca.key`, `crl.pem`, and `issued/` a supplier.

    An authority that is in the folder already (both files, the key without a passphrase) is used.

    Raises:
        JieshuiError: the files are no certificate and its key.
    """

    def __init__(self, folder: Path) -> None:
        self.certificate_file = folder / "ca.pem"
        self.crl_file = folder / "crl.pem"
        self._key_file = folder / "ca.key"
        self._issued = folder / "issued"
        make_folder(self._issued)
        if not self._key_file.exists():
            if self.certificate_file.exists():
                raise JieshuiError(f"{self.certificate_file} is there, but not its key ca.key")
            self._found()
        try:
            self._key = _read_key(self._key_file)
            self._certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        except (OSError, ValueError, TypeError) as error:
            raise JieshuiError(f"the authority in {folder} can't be used: {error}") from None
        if self._certificate.public_key() != self._key.public_key():
            raise JieshuiError(f"{self._key_file} is not the key of {self.certificate_file}")
        if not self.crl_file.exists():
            self._save_revoked([])

    def _found(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("jieshui broker CA")
        builder = _builder(name, name, key, _AUTHORITY_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(_key_usage(authority=True), True)
        # The certificate first: a key without one would be taken for a whole authority.
        write_whole(self.certificate_file, _pem(builder.sign(key, hashes.SHA256())), PUBLIC)
        write_whole(self._key_file, _key_pem(key))

    def issue_server(self, hosts: Sequence[str]) -> tuple[bytes, bytes]:
        """A certificate for a server that is reached under these names; PEM of it and its key."""
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        return self._issue(hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, names)

    def issue_supplier(self, supplier: str) -> tuple[bytes, bytes]:
        """A client certificate with the supplier as common name; PEM of it and its key."""
        certificate, key = self._issue(supplier, ExtendedKeyUsageOID.CLIENT_AUTH)
        write_whole(self._issued_file(supplier), certificate, PUBLIC)
        return certificate, key

    def revoke(self, supplier: str) -> bool:
        """Put the supplier's certificate on the list of revoked ones; whether it had one."""
        file = self._issued_file(supplier)
        if not file.exists():
            return False
        serial = x509.load_pem_x509_certificate(file.read_bytes()).serial_number
        builder = x509.RevokedCertificateBuilder().serial_number(serial)
        revoked = builder.revocation_date(datetime.now(UTC)).build()
        known = x509.load_pem_x509_crl(self.crl_file.read_bytes())
        self._save_revoked([*(one for one in known if one.serial_number != serial), revoked])
        file.unlink()
        return True

    def _issued_file(self, supplier: str) -> Path:
        return self._issued / f"{supplier}.pem"

    def _save_revoked(self, revoked: Sequence[x509.RevokedCertificate]) -> None:
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._certificate.subject)
        # A list that has run out makes Mosquitto refuse everybody: it lasts as long as the CA.
        builder = builder.last_update(now - _EARLIER)
        builder = builder.next_update(self._certificate.not_valid_after_utc)
        for one in revoked:
            builder = builder.add_revoked_certificate(one)
        pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        write_whole(self.crl_file, pem, PUBLIC)

    def _days_left(self) -> int:
        """How long a certificate lasts: none outlives the authority's own.

        Raises:
            JieshuiError: the authority's ends within a day.
        """
        left = self._certificate.not_valid_after_utc - datetime.now(UTC)
        if left < timedelta(days=1):
            raise JieshuiError(f"the authority ends {self._certificate.not_valid_after_utc:%F}")
        return min(_CERTIFICATE_DAYS, left.days)

    def end_of(self, supplier: str) -> datetime | None:
        """Until when the supplier's certificate is good; None = it has none."""
        file = self._issued_file(supplier)
        if not file.exists():
            return None
        return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc

    def _issue(
        self,
        common_name: str,
        usage: x509.ObjectIdentifier,
        alternatives: x509.SubjectAlternativeName | None = None,
    ) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self._certificate.subject
        builder = _builder(_name(common_name[:64]), issuer, key, self._days_left())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(_key_usage(authority=False), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(own, False)
        if alternatives:
            builder = builder.add_extension(alternatives, False)
        return _pem(builder.sign(self._key, hashes.SHA256())), _key_pem(key)


def server_names(certificate: bytes) -> list[str]:
    """The names under which the server of a PEM certificate is reached."""
    found = x509.load_pem_x509_certificate(certificate)
    extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(name.value) for name in extension.value]


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("its key must be of an elliptic curve")
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - _EARLIER).not_valid_after(now + timedelta(days=days))
    subject_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(subject_key, False)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not re.fullmatch(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", host):
        raise JieshuiError(f"{host!r} is no name of a host: no port, in ASCII (xn--…)")
    return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
