import threading
import time

import pytest

from ingest.precedence import Behind, Precedence


def waited(precedence, worked_s, pause="give_way", **more):
    began = time.monotonic()
    getattr(precedence, pause)(worked_s, **more)
    return time.monotonic() - began


def test_nobody_pauses_while_messages_only_trickle_in():
    precedence = Precedence()
    precedence.note_group(20)
    assert waited(precedence, 10) < 0.1


def test_while_a_backlog_comes_in_the_receiver_has_nine_times_as_long():
    precedence = Precedence()
    precedence.note_group(1_000)
    assert 0.18 <= waited(precedence, 0.02) < 0.5


def test_a_pause_ends_as_soon_as_the_receiver_has_nothing_to_do():
    precedence = Precedence()
    precedence.note_group(1_000)
    threading.Timer(0.05, precedence.note_silence).start()
    assert 0.04 <= waited(precedence, 10) < 0.5


def test_to_messages_that_wait_apart_only_the_work_for_them_gives_way():
    precedence = Precedence()
    precedence.note_group(20, apart=1_000)
    assert waited(precedence, 10) < 0.1
    assert 0.18 <= waited(precedence, 0.02, apart=True) < 0.5
    precedence.note_silence()
    assert waited(precedence, 10, apart=True) < 0.1


def test_who_tells_of_things_lets_a_backlog_be_loaded_first():
    precedence = Precedence()
    precedence.note_waiting(20)
    assert waited(precedence, 10, pause="let_load") < 0.1
    precedence.note_waiting(1_000)
    assert 0.18 <= waited(precedence, 0.02, pause="let_load") < 0.5
    precedence.note_waiting(0)
    assert waited(precedence, 10, pause="let_load") < 0.1


def test_it_is_calm_while_messages_trickle_in_and_not_while_a_backlog_comes_in():
    precedence = Precedence()
    assert precedence.is_calm()
    precedence.note_group(1_000)
    assert not precedence.is_calm()
    precedence.note_silence()
    assert precedence.is_calm()


@pytest.mark.parametrize(("busy", "others"), [(False, False), (True, False), (False, True)])
def test_behind_another_loader_it_is_calm_once_nothing_waits_for_that_one(busy, others):
    first = Precedence()
    first.note_group(1_000 if busy else 0)
    assert Behind(first, lambda: others).is_calm() == (not busy and not others)


def test_however_long_the_work_was_the_pause_is_bounded():
    precedence = Precedence()
    precedence.note_group(1_000)
    assert waited(precedence, 3_600) < 2.5
