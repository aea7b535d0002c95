"""The files of `jieshui broker`, without a broker."""

import hashlib
import os
import shutil
import subprocess
import threading
import time
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from jieshui.errors import JieshuiError
from jieshui.main import app
from jieshui.mosquitto import BrokerFolder, NotReloadedError, reload_broker
from jieshui.mosquitto.card import write_hand_over


@pytest.fixture
def folder(tmp_path):
    make(tmp_path / "broker")
    return tmp_path / "broker"


def make(folder) -> BrokerFolder:
    broker = BrokerFolder(folder)
    hosts = ["broker.example", "10.0.0.7"]
    broker.make(hosts, port=8883, seen_as=None, data=None, client_certificates=False)
    return broker


def contents(folder):
    both = [folder, folder.with_name(f"{folder.name}-authority")]
    return {path: path.read_bytes() for one in both for path in one.rglob("*") if path.is_file()}


def test_made_twice_it_stays_as_it_is_but_for_what_was_missing(folder):
    before = contents(folder)
    (folder / "acl").unlink()
    make(folder)
    assert contents(folder) == before


def test_a_certificate_for_nobody_knows_which_host_is_not_made(tmp_path):
    with pytest.raises(JieshuiError, match="--host"):
        BrokerFolder(tmp_path / "b").make(
            [], port=8883, seen_as=None, data=None, client_certificates=False
        )
    assert not (tmp_path / "b" / "mosquitto.conf").exists()


def test_the_lines_for_ingest_name_a_host_that_the_certificate_is_for(tmp_path):
    wanted = ("init", tmp_path / "broker", "--host", "broker.example", "--host", "10.0.0.7")
    for words in (wanted, wanted[:2]):
        assert 'host = "broker.example"\n' in run(*words).output


def test_root_is_told_that_mosquitto_may_not_use_a_folder_of_roots(tmp_path, monkeypatch):
    folder = tmp_path / "broker"
    wanted = ("init", folder, "--host", "broker.example")
    owned_by = folder.parent.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owned_by)
    assert ("chown -R mosquitto:" in run(*wanted).output) == (owned_by == 0)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "chown" not in run(*wanted).output


@pytest.mark.parametrize(
    "supplier", ["", "a b", "a#", "a+", "a/b", "a:b", "a\nb", "..", "jieshui", "水" * 22]
)
def test_an_id_that_a_topic_or_a_file_would_read_otherwise_is_refused(folder, supplier):
    before = contents(folder)
    with pytest.raises(JieshuiError):
        BrokerFolder(folder).add_supplier(supplier)
    assert contents(folder) == before


@pytest.mark.parametrize("host", ["broker.example:8883", "a b", "东水.cn", "mqtts://a", ""])
def test_what_is_no_name_of_a_host_is_refused(tmp_path, host):
    made = run("init", tmp_path / "b", "--host", host)
    assert isinstance(made.exception, JieshuiError)
    assert "no name of a host" in str(made.exception)


def test_no_certificate_outlives_its_authority_and_the_list_shows_its_end(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("jieshui.mosquitto.authority._AUTHORITY_DAYS", 100)
        make(tmp_path / "broker")
    given = BrokerFolder(tmp_path / "broker").add_supplier("EAST")
    ca = x509.load_pem_x509_certificate(given.ca).not_valid_after_utc
    end = x509.load_pem_x509_certificate(given.certificate).not_valid_after_utc
    assert end <= ca
    assert run("list", "--folder", tmp_path / "broker").output == f"EAST\t{end:%Y-%m-%d}\n"


@pytest.mark.parametrize("command", [("add-supplier", "WEST"), ("revoke", "EAST"), ("renew",)])
def test_no_second_authority_is_founded_where_the_first_is_missing(folder, command):
    BrokerFolder(folder).add_supplier("EAST")
    trusted = (folder / "ca.pem").read_bytes()
    shutil.rmtree(folder.with_name(f"{folder.name}-authority"))
    said = CliRunner().invoke(app, ["broker", *command, "--folder", str(folder)])
    assert isinstance(said.exception, JieshuiError)
    assert "bring that folder here" in str(said.exception)
    assert (folder / "ca.pem").read_bytes() == trusted


def test_a_supplier_is_added_once(folder):
    BrokerFolder(folder).add_supplier("东水")
    before = contents(folder)
    with pytest.raises(JieshuiError, match="--replace"):
        BrokerFolder(folder).add_supplier("东水")
    assert contents(folder) == before
    assert list(BrokerFolder(folder).suppliers()) == ["东水"]


def test_the_password_stands_in_no_file_of_the_broker(folder):
    given = BrokerFolder(folder).add_supplier("EAST")
    assert not any(given.password.encode() in content for content in contents(folder).values())
    lines = (folder / "passwords").read_text(encoding="utf-8").splitlines()
    (word,) = [line.removeprefix("EAST:") for line in lines if line.startswith("EAST:")]
    _, kind, rounds, salt, hashed = word.split("$")
    again = hashlib.pbkdf2_hmac(
        "sha512", given.password.encode(), b64decode(salt), int(rounds), len(b64decode(hashed))
    )
    assert (kind, again) == ("7", b64decode(hashed))


def test_secrets_are_closed_to_others(folder, tmp_path):
    write_hand_over(BrokerFolder(folder).add_supplier("EAST"), 8883, tmp_path / "out")
    public = {"ca.pem", "crl.pem", "server.pem", "client.pem", "connection.txt", "EAST.pem"}
    made = [*contents(folder), *(tmp_path / "out").iterdir()]
    open_to_others = {path.name for path in made if path.stat().st_mode & 0o077}
    assert open_to_others <= public
    assert (tmp_path / "out").stat().st_mode & 0o077 == 0


def test_what_is_handed_over_overwrites_nothing(folder, tmp_path):
    given = BrokerFolder(folder).add_supplier("EAST")
    write_hand_over(given, 8883, tmp_path / "out")
    with pytest.raises(JieshuiError, match="holds something"):
        write_hand_over(given, 8883, tmp_path / "out")


def test_the_new_certificate_of_the_broker_has_the_old_ones_names(folder):
    assert BrokerFolder(folder).renew_server() == ["broker.example", "10.0.0.7"]
    found = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example"]


def test_an_authority_that_is_given_is_used(folder, tmp_path):
    given = tmp_path / "second-authority"
    given.mkdir()
    for name in ("ca.pem", "ca.key"):
        source = folder.with_name("broker-authority") / name
        (given / name).write_bytes(source.read_bytes())
    make(tmp_path / "second")
    assert (tmp_path / "second" / "ca.pem").read_bytes() == (folder / "ca.pem").read_bytes()


def test_a_key_that_is_not_the_authoritys_is_refused(folder, tmp_path):
    make(tmp_path / "other")
    key = tmp_path / "broker-authority" / "ca.key"
    key.write_bytes((tmp_path / "other-authority" / "ca.key").read_bytes())
    with pytest.raises(JieshuiError, match="not the key"):
        BrokerFolder(folder).add_supplier("EAST")


def test_a_process_that_is_no_mosquitto_gets_no_signal(folder):
    (folder / "data" / "mosquitto.pid").write_text("1\n", encoding="ascii")
    with pytest.raises(NotReloadedError, match="No Mosquitto"):
        reload_broker(folder / "mosquitto.conf")


def test_a_mosquitto_of_another_user_is_not_said_to_be_absent(folder, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("Operation not permitted")

    program = shutil.copy2(shutil.which("sleep"), tmp_path / "mosquitto")
    process = subprocess.Popen([program, "60"])
    (folder / "data" / "mosquitto.pid").write_text(f"{process.pid}\n", encoding="ascii")
    try:
        # The name follows a moment after Popen returns.
        while "mosquitto" not in Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8"):
            time.sleep(0.01)
        with monkeypatch.context() as patch:
            patch.setattr(os, "kill", refuse)
            with pytest.raises(NotReloadedError, match="may not signal"):
                reload_broker(folder / "mosquitto.conf")
    finally:
        process.kill()
        process.wait()


def run(*words):
    return CliRunner().invoke(app, ["broker", *map(str, words)])


def test_who_should_be_shut_out_while_mosquitto_is_not_told_is_a_failure(folder, tmp_path):
    added = run("add-supplier", "EAST", "--folder", folder, "--out", tmp_path / "a")
    assert added.exit_code == 0
    assert "Nothing has changed" in added.output
    replaced = run("add-supplier", "EAST", "--folder", folder, "--out", tmp_path / "b", "--replace")
    assert isinstance(replaced.exception, NotReloadedError)
    assert (tmp_path / "b" / "password").exists()
    revoked = run("revoke", "EAST", "--folder", folder)
    assert isinstance(revoked.exception, NotReloadedError)
    assert not BrokerFolder(folder).suppliers()


def test_a_command_waits_for_that_of_another_administrator(folder, tmp_path):
    words = ("add-supplier", "EAST", "--folder", folder, "--out", tmp_path / "out")
    other = threading.Thread(target=run, args=words)
    with BrokerFolder(folder).alone():
        other.start()
        other.join(0.5)
        assert other.is_alive()
        assert not BrokerFolder(folder).suppliers()
    other.join(10)
    assert list(BrokerFolder(folder).suppliers()) == ["EAST"]
