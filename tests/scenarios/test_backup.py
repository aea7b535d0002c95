"""A backup of embedded stores, restored, is the same city; what is damaged is refused."""

import json
import os
import shutil
import threading

import pytest
from small_city import analyse, everything, fill, settings_of
from typer.testing import CliRunner

from jieshui.backup import restore_backup, take_backup
from jieshui.errors import JieshuiError
from jieshui.main import app
from jieshui.wiring import open_stores, session_secret
from water.readings import Reading


def silent(_):
    pass


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A filled installation and a backup of it; neither is changed by a test."""
    folder = tmp_path_factory.mktemp("city")
    settings = settings_of(folder / "first")
    with open_stores(settings) as stores:
        fill(settings, stores)
        session_secret(settings.store.folder)
        take_backup(settings, stores, folder / "backup", silent)
        kept = everything(settings, stores)
    return settings, folder / "backup", kept


def test_everything_comes_back_as_it_was(city, tmp_path):
    first, backup, kept = city
    settings = settings_of(tmp_path / "second")
    with open_stores(settings) as stores:
        restore_backup(settings, stores, backup, silent)
        assert everything(settings, stores) == kept
    assert kept["alert"]
    assert kept["conflicts"]
    assert len(kept["quarantine"]) == 2
    assert session_secret(settings.store.folder) == session_secret(first.store.folder)


def test_analysis_goes_on_where_it_stood(city, tmp_path):
    settings = settings_of(tmp_path / "second")
    with open_stores(settings) as stores:
        restore_backup(settings, stores, city[1], silent)
        # What was loaded after the last analysis, and no day more.
        assert 0 < analyse(settings, stores) <= 3


def test_loading_again_what_the_journal_holds_changes_nothing(city, tmp_path):
    settings = settings_of(tmp_path / "second")
    with open_stores(settings) as stores:
        restore_backup(settings, stores, city[1], silent)
        before = everything(settings, stores)["readings"]
        with stores.readings.load() as load:
            load.add_readings([Reading(*_as_reading(row)) for row in before])
        assert everything(settings, stores)["readings"] == before


def _as_reading(row):
    meter_id, at, received_at, *values = row
    return meter_id, int(at.timestamp()), int(received_at.timestamp()), *values


def test_the_commands_do_the_same(city, tmp_path, monkeypatch):
    # It would bind the logs of every later test to the runner's output, which is closed by then.
    monkeypatch.setattr("jieshui.commands.backup.set_up_logs", lambda _: None)
    first, _, kept = city
    settings = settings_of(tmp_path / "second")
    run = CliRunner()
    taken = run.invoke(
        app, ["backup", str(tmp_path / "b"), "-c", str(first.store.folder.parent / "jieshui.toml")]
    )
    assert taken.exit_code == 0, taken.output
    assert "1,444 readings" in taken.output
    config = str(tmp_path / "second" / "jieshui.toml")
    restored = run.invoke(app, ["restore", str(tmp_path / "b"), "-c", config])
    assert restored.exit_code == 0, restored.output
    with open_stores(settings) as stores:
        assert everything(settings, stores) == kept


@pytest.mark.parametrize(
    "name",
    [
        "registry/meter.jsonl.gz",
        "ledger.jsonl.gz",
        "readings/2026-01.parquet",
        "daily/2026-02.parquet",
        "files/journal/000000000001.journal",
    ],
)
def test_a_flipped_bit_is_refused_with_the_files_name(city, tmp_path, name):
    damaged = tmp_path / "backup"
    shutil.copytree(city[1], damaged)
    raw = bytearray((damaged / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (damaged / name).write_bytes(raw)
    refuse(tmp_path, damaged, name)


def refuse(tmp_path, backup, words):
    """Restoring fails with these words, and the stores stay empty."""
    settings = settings_of(tmp_path / "second")
    with open_stores(settings) as stores:
        with pytest.raises(JieshuiError, match=words):
            restore_backup(settings, stores, backup, silent)
        assert stores.readings.first_instant() is None
        assert not stores.registry.meters()


def test_a_backup_that_lacks_a_file_is_refused(city, tmp_path):
    shutil.copytree(city[1], tmp_path / "backup")
    (tmp_path / "backup" / "hourly" / "2026-01.parquet").unlink()
    refuse(tmp_path, tmp_path / "backup", "hourly/2026-01.parquet")


def test_an_unfinished_backup_is_refused(city, tmp_path):
    shutil.copytree(city[1], tmp_path / "backup")
    (tmp_path / "backup" / "manifest.json").unlink()
    refuse(tmp_path, tmp_path / "backup", "not finished")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"format": 1', '"format": 2'), "reads 1"),
        (('"revision": "', '"revision": "9'), "doesn't know"),
        (("Asia/Shanghai", "Asia/Tokyo"), "city.timezone"),
    ],
)
def test_what_another_version_or_city_wrote_is_refused(city, tmp_path, change, words):
    shutil.copytree(city[1], tmp_path / "backup")
    manifest = tmp_path / "backup" / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    assert change[0] in text
    manifest.write_text(text.replace(*change), encoding="utf-8")
    refuse(tmp_path, tmp_path / "backup", words)


def test_stores_that_hold_something_are_left_alone(city):
    settings, backup, kept = city
    with open_stores(settings) as stores:
        with pytest.raises(JieshuiError, match="holds rows"):
            restore_backup(settings, stores, backup, silent)
        assert everything(settings, stores) == kept


def test_a_backup_overwrites_nothing_and_leaves_nothing_half_done(city):
    settings, backup, _ = city
    with open_stores(settings) as stores:
        with pytest.raises(JieshuiError, match="there already"):
            take_backup(settings, stores, backup, silent)

        def fail(doing):
            if doing == "2026-02":
                raise OSError("the disk is full")

        with pytest.raises(OSError, match="full"):
            take_backup(settings, stores, backup.with_name("other"), fail)
    assert {path.name for path in backup.parent.iterdir()} == {"first", "backup"}


def test_a_load_waits_until_the_backup_has_its_readings(city, tmp_path):
    settings = settings_of(tmp_path / "second")
    with open_stores(settings) as stores, open_stores(settings) as others:
        restore_backup(settings, stores, city[1], silent)
        newest = max(row[1] for row in city[2]["newest"])
        late = Reading("C1", int(newest.timestamp()) + 60, 1, register_m3=1e6)

        def load():
            with others.readings.load() as loading:
                loading.add_readings([late])

        loader = threading.Thread(target=load)

        def begin_to_load(doing):
            if doing == "registry":
                loader.start()
                loader.join(0.3)
                assert loader.is_alive()

        take_backup(settings, stores, tmp_path / "backup", begin_to_load)
        loader.join(10)
        assert not loader.is_alive()
    third = settings_of(tmp_path / "third")
    with open_stores(third) as stores:
        restore_backup(third, stores, tmp_path / "backup", silent)
        assert everything(third, stores)["readings"] == city[2]["readings"]


def test_a_restore_that_broke_off_is_opened_by_nobody(city, tmp_path):
    settings = settings_of(tmp_path / "second")

    def fail(doing):
        if doing == "registry":
            raise OSError("the disk is full")

    with open_stores(settings) as stores, pytest.raises(OSError, match="full"):
        restore_backup(settings, stores, city[1], fail)
    with pytest.raises(JieshuiError, match="has not ended"), open_stores(settings):
        pytest.fail("half a city is shown")


@pytest.mark.parametrize("name", ["files/../../outside", "/tmp/outside"])
def test_a_backup_that_names_files_elsewhere_is_refused(city, tmp_path, name):
    shutil.copytree(city[1], tmp_path / "backup")
    manifest = tmp_path / "backup" / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    assert '"files/session-secret"' in text
    manifest.write_text(text.replace("files/session-secret", name), encoding="utf-8")
    refuse(tmp_path, tmp_path / "backup", "not in the backup")


def test_a_file_that_the_manifest_lacks_is_not_restored(city, tmp_path):
    backup = tmp_path / "backup"
    shutil.copytree(city[1], backup)
    manifest = json.loads((backup / "manifest.json").read_text(encoding="utf-8"))
    del manifest["files"]["registry/audit.jsonl.gz"]
    (backup / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    settings = settings_of(tmp_path / "second")
    with open_stores(settings) as stores:
        restore_backup(settings, stores, backup, silent)
        assert not everything(settings, stores)["audit"]
    assert city[2]["audit"]


def test_a_segment_that_vanishes_meanwhile_costs_no_backup(city, tmp_path):
    settings = settings_of(tmp_path / "second")
    with open_stores(settings) as stores:
        restore_backup(settings, stores, city[1], silent)
        # Listed, but not there any more when it is read.
        gone = settings.store.folder / "journal" / "000000009999.journal"
        gone.symlink_to(tmp_path / "nowhere")
        manifest = take_backup(settings, stores, tmp_path / "b", silent)
    assert f"files/journal/{gone.name}" not in manifest.files
    assert any(name.startswith("files/journal/") for name in manifest.files)


def test_a_segment_that_is_compressed_meanwhile_is_in_the_backup(city, tmp_path, monkeypatch):
    settings, copy = settings_of(tmp_path / "second"), shutil.copy2
    with open_stores(settings) as stores:
        restore_backup(settings, stores, city[1], silent)
        plain = settings.store.folder / "journal" / "000000000001.journal"
        packed = plain.with_name(f"{plain.name}.zst")

        def copy_too_late(path, target):
            if path == plain and path.exists():
                path.rename(packed)
            return copy(path, target)

        monkeypatch.setattr(shutil, "copy2", copy_too_late)
        take_backup(settings, stores, tmp_path / "b", silent)
    assert (tmp_path / "b" / "files" / "journal" / packed.name).read_bytes() == packed.read_bytes()
    third = settings_of(tmp_path / "third")
    with open_stores(third) as stores:
        shutil.copytree(packed.parent, third.store.folder / "journal")
        with pytest.raises(JieshuiError, match="there is a journal already"):
            restore_backup(third, stores, tmp_path / "b", silent)


def test_a_folder_that_only_looks_like_ours_is_not_removed(city, tmp_path):
    mine = tmp_path / "b.unfinished"
    mine.mkdir()
    (mine / "letter").touch()
    with open_stores(city[0]) as stores:
        take_backup(city[0], stores, tmp_path / "b", silent)
    assert (mine / "letter").exists()


def test_what_root_restores_is_the_users_whose_folder_it_is(city, tmp_path, missing):
    if os.geteuid() != 0:
        missing("only root can give files away")
    settings = settings_of(tmp_path / "second")
    with open_stores(settings) as stores:
        os.chown(settings.store.folder, 12345, 12345)
        restore_backup(settings, stores, city[1], silent)
    found = {path: path.stat().st_uid for path in settings.store.folder.rglob("*")}
    assert set(found.values()) == {12345}


def test_going_back_wants_a_backup_and_a_revision_that_is_known(city, tmp_path):
    settings_of(tmp_path / "second")
    config = str(tmp_path / "second" / "jieshui.toml")

    def run(*words):
        return CliRunner().invoke(app, [*words, "-c", config])

    assert "revision 0" in run("upgrade").output
    assert "--backed-up" in str(run("downgrade", "0001").exception)
    assert "knows no revision" in str(run("downgrade", "nonsense", "--backed-up").exception)
    assert "revision 0001" in run("downgrade", "0001", "--backed-up").output
    assert "revision 0004" in run("upgrade").output
