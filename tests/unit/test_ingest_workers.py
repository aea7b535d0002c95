"""What each of several workers calls its own."""

from itertools import islice
from pathlib import Path

import pytest

from ingest.errors import SettingsError
from ingest.settings import IngestSettings, JournalSettings, MqttSettings, Source
from ingest.workers import each_place, list_filters

SOURCE = Source("spbv/+/up", "wmbusmeters", "south")


def settings(**more):
    return IngestSettings(
        MqttSettings(client_id="jieshui-ingest"),
        JournalSettings(Path("var/journal")),
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
