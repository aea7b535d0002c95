"""What each of several workers calls its own."""

from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from ingest.broker.stream import Stream
from ingest.errors import SettingsError
from ingest.journal import Message, open_journal
from ingest.journal.segments import read_header
from ingest.places import overflow_place
from ingest.settings import IngestSettings, JournalSettings, MqttSettings, Source
from ingest.workers import each_place, find_abandoned, find_unread, list_filters
from water.clock import SystemClock
from water.loading import Position

SOURCE = Source("spbv/+/up", "wmbusmeters", "south")


def settings(folder=Path("var"), **more):
    return IngestSettings(
        MqttSettings(client_id="jieshui-ingest"),
        JournalSettings(folder / "journal"),
        (SOURCE,),
        **more,
    )


def describe(place):
    return place.mqtt.client_id, str(place.journal.folder), place.journal.name


def test_a_process_that_shares_nothing_has_one_place_and_the_plain_filters():
    alone = settings()
    assert list(each_place(alone)) == [alone]
    assert list_filters(alone) == ["water/v1/#", "spbv/+/up"]


def test_each_place_of_a_group_has_a_session_a_journal_and_a_name_of_its_own():
    first, second = islice(each_place(settings(shared_group="ingest")), 2)
    assert describe(first) == ("jieshui-ingest-1", "var/journal-1", "ingest-1")
    assert describe(second) == ("jieshui-ingest-2", "var/journal-2", "ingest-2")


def test_the_workers_of_two_machines_never_meet():
    places = [
        describe(place)
        for worker in ("a", "a-1", "a1", "b")
        for place in islice(each_place(settings(shared_group="g", worker=worker)), 20)
    ]
    for own in zip(*places, strict=True):
        assert len(set(own)) == len(own)


def test_a_group_shares_every_filter():
    shared = settings(shared_group="ingest")
    assert list_filters(shared) == ["$share/ingest/water/v1/#", "$share/ingest/spbv/+/up"]


@pytest.mark.parametrize("name", ["shared_group", "worker"])
def test_a_name_that_is_no_level_of_a_topic_is_refused(name):
    with pytest.raises(SettingsError, match=name):
        settings(**{name: "a/b"})


@pytest.mark.parametrize("name", ["http", "import", "http-2"])
def test_a_worker_is_not_called_like_another_door(name):
    with pytest.raises(SettingsError, match="worker"):
        settings(worker=name)


DOORS = ("journal-http-2", "journal-http-a-1", "journal-http-a-b-2")
DOORS_SEEN_BY = {
    "no worker": ({}, DOORS[1:]),
    "a worker": ({"worker": "a"}, (DOORS[0], DOORS[2])),
    "a worker of a group": ({"worker": "a-b", "shared_group": "g"}, DOORS[:2]),
    "nothing is pushed": ({"pushing": False}, DOORS),
}


@pytest.mark.parametrize(("more", "abandoned"), DOORS_SEEN_BY.values(), ids=DOORS_SEEN_BY)
def test_a_journal_of_a_door_that_no_api_process_opens_is_abandoned(tmp_path, more, abandoned):
    for name in DOORS:
        writer = open_journal(tmp_path / name, 1 << 20)
        writer.append([Message("north", "t", b"1", 1)])
        writer.close()
    found = find_abandoned(settings(tmp_path, **more), load_nothing)
    assert sorted(found) == sorted(str(tmp_path / name) for name in abandoned)


def test_how_a_doors_journal_is_brought_in_names_its_worker(tmp_path):
    writer = open_journal(tmp_path / "journal-http-old-1", 1 << 20)
    writer.append([Message("north", "t", b"1", 1)])
    writer.close()
    (mend,) = find_abandoned(settings(tmp_path), load_nothing).values()
    assert mend == (
        'start api with api.push = true and ingest.worker = "old" '
        "until jieshui status shows nothing waiting"
    )


def test_what_an_import_left_is_told_with_what_to_do(tmp_path):
    writer = open_journal(tmp_path / "journal-import", 1 << 20)
    writer.append([Message("north", "t", b"1", 1)])
    writer.close()
    (mend,) = find_abandoned(settings(tmp_path), load_nothing).values()
    assert "jieshui import readings" in mend


OVERFLOWS = ("journal-overflow", "journal-2-overflow", "journal-a-2-overflow")
OVERFLOWS_SEEN_BY = {
    "nothing shared": ({}, OVERFLOWS[1:]),
    "nobody is put apart": ({"overflow_messages": 0}, OVERFLOWS[1:]),
    "a group": ({"shared_group": "g"}, (OVERFLOWS[0], OVERFLOWS[2])),
    "a group's worker": ({"shared_group": "g", "worker": "a"}, OVERFLOWS[:2]),
}


@pytest.mark.parametrize(("more", "abandoned"), OVERFLOWS_SEEN_BY.values(), ids=OVERFLOWS_SEEN_BY)
def test_an_overflow_is_abandoned_where_its_workers_journal_would_be(tmp_path, more, abandoned):
    for name in OVERFLOWS:
        writer = open_journal(tmp_path / name, 1 << 20)
        writer.append([Message("north", "t", b"1", 1)])
        writer.close()
    found = find_abandoned(settings(tmp_path, **more), load_nothing)
    assert sorted(found) == sorted(str(tmp_path / name) for name in abandoned)
    told = found.get(str(tmp_path / OVERFLOWS[2]))
    assert told is None or 'ingest 2 times with ingest.shared_group and ingest.worker = "a"' in told


def test_what_leaves_a_place_calls_no_journal_of_another_worker_abandoned(tmp_path):
    writer = open_journal(tmp_path / "journal-1", 1 << 20)
    writer.append([Message("north", "t", b"1", 1)])
    writer.close()
    assert Stream(SystemClock()).find_abandoned(settings(tmp_path), load_nothing)
    leaving = Stream(SystemClock(), leaving=True)
    assert leaving.find_abandoned(settings(tmp_path), load_nothing) == {}


def test_an_overflow_has_a_journal_of_its_own_and_loads_in_small_parts():
    (first,) = islice(each_place(settings(shared_group="ingest")), 1)
    place = overflow_place(first)
    assert (place.journal.name, place.journal.folder.name) == (
        "ingest-1-overflow", "journal-1-overflow"
    )  # fmt: skip
    assert place.limits.batch_readings < first.limits.batch_readings


NAMES = ("journal", "journal-1", "journal-2", "journal-a-1", "journal-a-b-3", "journal.copy")
SEEN_BY = {
    "nothing shared": ({}, NAMES[1:]),
    "a worker without a group": ({"worker": "a"}, NAMES[1:]),
    "a group": ({"shared_group": "g"}, ("journal", *NAMES[3:])),
    "a group's worker": ({"shared_group": "g", "worker": "a"}, (*NAMES[:3], *NAMES[4:])),
}


@pytest.fixture
def journals(tmp_path):
    """The folder of several journals of one message each, and where each of them ends."""
    ends = {"ingest-empty": Position()}
    for name in NAMES:
        writer = open_journal(tmp_path / name, 1 << 20)
        writer.append([Message("north", "t", b"1", 1)])
        ends[name.replace("journal", "ingest")] = writer.committed()
        writer.close()
    (tmp_path / "journal-empty").mkdir()
    (tmp_path / "readings").mkdir()
    return tmp_path, ends


def load_nothing(journal):
    return Position()


@pytest.mark.parametrize(("more", "abandoned"), SEEN_BY.values(), ids=SEEN_BY)
def test_a_journal_that_is_nobodys_place_is_abandoned(journals, more, abandoned, capsys):
    folder, _ = journals
    found = find_abandoned(settings(folder, **more), load_nothing)
    assert sorted(found) == sorted(str(folder / name) for name in abandoned)
    assert capsys.readouterr().out.count("journal is read by nobody") == len(abandoned)


def test_a_journal_that_no_process_has_open_is_unread_until_it_is_loaded(journals):
    folder, ends = journals
    own = settings(folder).journal
    assert sorted(find_unread(own, load_nothing)) == [str(folder / name) for name in sorted(NAMES)]
    assert find_unread(own, ends.__getitem__) == {}
    with closing(open_journal(folder / "journal-1", 1 << 20)):
        assert str(folder / "journal-1") not in find_unread(own, load_nothing)


def test_what_a_door_or_an_overflow_has_left_is_unread_with_what_to_start(tmp_path):
    for name in ("journal-http-2", "journal-1-overflow"):
        with closing(open_journal(tmp_path / name, 1 << 20)) as writer:
            writer.append([Message("north", "t", b"1", 1)])
    overflow, door = find_unread(settings(tmp_path).journal, load_nothing).values()
    assert door.startswith("start api with api.push = true")
    assert overflow.startswith("start ingest 1 times with ingest.shared_group")


def test_a_journal_whose_messages_are_all_loaded_is_not_abandoned(journals):
    folder, ends = journals
    assert find_abandoned(settings(folder), ends.__getitem__) == {}
    segment, offset, entry = ends["ingest-2"]
    ends["ingest-2"] = Position(segment, offset - 1, entry - 1)
    assert list(find_abandoned(settings(folder), ends.__getitem__)) == [str(folder / "journal-2")]


def test_a_journal_that_never_held_a_message_is_not_abandoned(tmp_path):
    path = tmp_path / "journal-1" / "000000000001.journal"
    writer = open_journal(path.parent, 1 << 20)
    writer.append([Message("north", "t", b"1", 1)])
    end = read_header(path.parent, 1)[2]
    writer.close()
    path.write_bytes(path.read_bytes()[:end])
    assert find_abandoned(settings(tmp_path), load_nothing) == {}


def test_how_an_abandoned_journal_is_brought_in_names_the_settings(journals):
    folder, _ = journals
    alone = find_abandoned(settings(folder), load_nothing)
    until = "until jieshui status shows nothing waiting"
    group = "start ingest {} times with ingest.shared_group and ingest.worker = {} " + until
    assert alone[str(folder / "journal-2")] == group.format(2, '""')
    assert alone[str(folder / "journal-a-b-3")] == group.format(3, '"a-b"')
    assert "move the folder elsewhere" in alone[str(folder / "journal.copy")]
    shared = find_abandoned(settings(folder, shared_group="g"), load_nothing)
    assert shared[str(folder / "journal")] == f"start ingest without ingest.shared_group {until}"
