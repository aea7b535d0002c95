import re
import socket
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from ingest.markers import FORGOTTEN
from jieshui import main
from jieshui.config import load_settings
from jieshui.demo.installation import Installation
from jieshui.errors import JieshuiError
from jieshui.main import app
from jieshui.wiring import open_stores
from registry.report import RegistryError
from registry.templates import write_template

runner = CliRunner()


def run(*arguments: str) -> str:
    outcome = runner.invoke(app, [*arguments], catch_exceptions=False)
    return re.sub(r"\x1b\[[0-9;]*m", "", outcome.output)


def import_examples(folder):
    """One row of every kind: the examples of the templates."""
    write_template("all", folder)
    for file in folder.glob("*.csv"):
        file.write_text(file.read_text("utf-8-sig").replace("\n# ", "\n"), "utf-8")
    run("import", str(folder))


def test_help_reads_like_a_table_of_contents():
    text = run("--help")
    for heading in ("Set up", "Keep", "Run", "Look", "People and keys"):
        assert heading in text
    commands = (
        "init", "import", "broker", "backup", "restore", "upgrade", "downgrade", "demo", "serve",
        "status", "health", "journal", "quarantine", "replay", "recompute", "account", "key",
    )  # fmt: skip
    for command in commands:
        assert re.search(rf"\b{command}\b", text)


@pytest.mark.parametrize("process", ["ingest", "analysis", "api", "watch", "all"])
def test_serve_knows_each_process(process):
    assert process in run("serve", "--help")


@pytest.mark.parametrize(
    ("notify", "watched"),
    [("", []), ('[notify]\nbureau = ["json://127.0.0.1"]\n', ["watch"])],
    ids=["nobody-to-tell", "the-bureau-to-tell"],
)
def test_serve_all_watches_when_there_is_somebody_to_tell(tmp_path, monkeypatch, notify, watched):
    started = []

    class Supervisor:
        def __init__(self, _):
            self.start = started.append

        def revive(self):
            raise KeyboardInterrupt

        def stop(self):
            pass

    monkeypatch.setattr("jieshui.commands.serve.Supervisor", Supervisor)
    monkeypatch.setattr("jieshui.commands.serve.require_free", lambda *_: None)
    # It would bind the logs of every later test to the runner's output, which is closed by then.
    monkeypatch.setattr("jieshui.commands.serve.set_up_logs", lambda: None)
    config = tmp_path / "jieshui.toml"
    config.write_text(notify)
    runner.invoke(app, ["serve", "all", "--config", str(config)])
    assert started == ["ingest", "analysis", "api", *watched]


def test_serve_all_names_the_setting_of_a_port_that_is_taken_before_it_starts_anything(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("jieshui.commands.serve.Supervisor", None)
    monkeypatch.setattr("jieshui.commands.serve.set_up_logs", lambda: None)
    config = tmp_path / "jieshui.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(f"[ingest]\nport = 0\n[analysis]\nport = 0\n[api]\nport = {port}\n")
        with pytest.raises(JieshuiError, match=f"^api.port: .* {port}: Address already in use"):
            run("serve", "all", "--config", str(config))


def test_init_writes_a_configuration_that_can_be_read_and_an_administrator(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = run("init")
    assert (tmp_path / "jieshui.toml").exists()
    assert (tmp_path / "var" / "registry.sqlite").exists()
    assert re.search(r"one-time password \S{12,}", first)


def test_a_second_init_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("init")
    before = (tmp_path / "jieshui.toml").read_bytes()
    second = run("init")
    assert "stays as it is" in second
    assert "one-time password" not in second
    assert (tmp_path / "jieshui.toml").read_bytes() == before


def test_a_key_is_made_listed_and_revoked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("init")
    key_id = re.search(r"Key (\w+),", run("key", "create", "report", "bureau"))[1]
    assert key_id in run("key", "list")
    assert "is revoked" in run("key", "revoke", key_id)


def test_an_empty_workbook_is_said_to_hold_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("init")
    run("import", "--template", "empty.xlsx")
    assert "There is nothing in it" in run("import", "empty.xlsx")


def test_status_of_an_empty_installation_says_that_nothing_ran(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("init")
    assert "never ran" in run("status")
    assert '"suppliers": []' in run("status", "--json")


def test_without_a_configuration_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JieshuiError, match="jieshui init"):
        run("status")
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_one_sentence_and_exit_code_1(tmp_path, monkeypatch, capsys):
    (tmp_path / "jieshui.toml").write_text("[api]\nprot = 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["jieshui", "status"])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 1
    assert re.search(r"jieshui\.toml, line 2: api\.prot", capsys.readouterr().err.replace("\n", ""))


def test_the_version_is_the_installed_one():
    assert run("--version").strip() == version("jieshui")


def test_a_forgotten_password_can_be_replaced_without_logging_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = re.search(r"one-time password (\S+)", run("init"))[1]
    second = re.search(r"admin: (\S+)", run("account", "reset-password", "admin"))[1]
    assert first != second


@pytest.mark.parametrize("role", ["supplier", "user"])
def test_a_key_for_somebody_who_is_not_registered_is_refused(tmp_path, monkeypatch, role):
    monkeypatch.chdir(tmp_path)
    run("init")
    with pytest.raises(JieshuiError, match="NOPE"):
        run("key", "create", "x", role, "--scope", "NOPE")


@pytest.mark.parametrize(("role", "wanted"), [("supplier", "SUPPLIER"), ("user", "户号")])
def test_a_role_that_needs_a_scope_says_so(tmp_path, monkeypatch, role, wanted):
    monkeypatch.chdir(tmp_path)
    run("init")
    with pytest.raises(JieshuiError, match=f"--scope {wanted} is needed for the role {role}"):
        run("key", "create", "x", role)


def test_a_rerun_for_no_known_reason_or_supplier_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("init")
    with pytest.raises(JieshuiError, match="nope"):
        run("quarantine", "rerun", "--reason", "nope")
    with pytest.raises(JieshuiError, match="nope"):
        run("quarantine", "rerun", "--supplier", "nope")


def test_past_days_are_computed_again_once_they_are_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("init")
    import_examples(tmp_path / "city")
    days = ("--from", "2026-08-01", "--to", "2026-09-10")
    said = "2026-08-01 to 2026-09-10, 1 meters: at most 41 meter-days, in 2 jobs."
    assert said in (dry := run("recompute", *days, "--all", "--dry-run"))
    assert "Nothing is asked for yet." in dry
    asked = "Days to compute again: {} job(s) wait"  # (the import of a meter change asked for one)
    assert asked.format(1) in run("status")
    assert said in run("recompute", *days, "--meter", "M0001")
    assert asked.format(3) in run("status")


def test_a_recomputation_that_cannot_be_is_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("init")
    day = ("--from", "2026-08-01")
    for arguments, words in {
        day: "one of --meter .* and --all",
        (*day, "--all", "--meter", "m"): "one of --meter .* and --all",
        ("--from", "1st of May", "--all"): "--from '1st of May': write it like",
        (*day, "--to", "2026-07-31", "--all"): "end before they begin",
        (*day, "--meter", "nope"): "there is no meter 'nope'",
    }.items():
        with pytest.raises((JieshuiError, RegistryError), match=words):
            run("recompute", *arguments)


def test_a_journal_that_is_gone_for_good_is_forgotten_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("init")
    with pytest.raises(JieshuiError, match="no folder of a journal 'ingest'"):
        run("journal", "forget", "ingest")
    with open_stores(load_settings(tmp_path / "jieshui.toml")) as stores:
        stores.readings.swap_marker("ingest", "", "0123456789abcdef")
    assert "begins anew" in run("journal", "forget", "ingest")
    with open_stores(load_settings(tmp_path / "jieshui.toml")) as stores:
        assert stores.readings.marker("ingest") == FORGOTTEN


def test_one_demonstration_runs_in_a_folder_at_a_time(tmp_path):
    installation = Installation(tmp_path / "demo")
    with (
        installation.held(),
        pytest.raises(JieshuiError, match="stop it"),
        Installation(tmp_path / "demo").held(),
    ):
        pass


def test_import_takes_a_registry_where_no_kind_of_import_is_named(tmp_path):
    path = tmp_path / "users.csv"
    result = CliRunner().invoke(app, ["import", "--template", "--kind", "users", str(path)])
    assert result.exit_code == 0, result.output
    assert path.read_text("utf-8-sig").startswith("id,")
    assert "registry" in CliRunner().invoke(app, ["import", "--help"]).output
