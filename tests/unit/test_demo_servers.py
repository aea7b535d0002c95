"""The programs of the demonstration: which is taken, and what is said when one does not start."""

import stat
import sys
import time

import pytest

from jieshui.demo import servers
from jieshui.demo.servers import InfluxDB, Program, find_influxd, find_postgresql
from jieshui.errors import JieshuiError


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A machine with programs in these folders and none on the path."""

    def build(*programs):
        for program in programs:
            (tmp_path / program).parent.mkdir(parents=True)
            (tmp_path / program).touch()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(servers, "_DEBIAN", tmp_path)
    return build


def test_the_newest_influxd_is_taken(built, tmp_path):
    built("jieshui/influxd-2.7.9/influxd", "jieshui/influxd-2.7.12/influxd")
    assert find_influxd() == str(tmp_path / "jieshui/influxd-2.7.12/influxd")


def test_the_newest_postgresql_is_taken(built, tmp_path):
    built("9.6/bin/initdb", "15/bin/initdb")
    assert find_postgresql() == tmp_path / "15/bin"


class Ending(Program):
    """A server that ends at once."""

    def start(self):
        self._run([sys.executable, "-c", "print('no such option'); exit(1)"], self._nobody)

    def _nobody(self):
        raise ConnectionError


def test_a_program_that_ended_is_not_waited_for(tmp_path):
    program = Ending(tmp_path)
    began = time.monotonic()
    with pytest.raises(JieshuiError, match=r"ended at once; its log is .*server.log"):
        program.start()
    assert time.monotonic() - began < 10
    assert program.pid is None
    assert "no such option" in program.log.read_text()


def test_the_token_is_kept_before_the_server_learns_it(tmp_path, monkeypatch):
    def cut_off(url, token):
        raise KeyboardInterrupt

    monkeypatch.setattr(servers, "set_up_influxdb", cut_off)
    influxdb = InfluxDB("/bin/cat", tmp_path / "influxdb")
    monkeypatch.setattr(influxdb, "_run", lambda _, answers: answers())
    with pytest.raises(KeyboardInterrupt):
        influxdb.start()
    assert influxdb.token_file.read_text() == influxdb.token
    assert stat.S_IMODE(influxdb.token_file.stat().st_mode) == 0o600
