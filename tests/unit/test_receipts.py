import threading

from msgspec import to_builtins

from ingest.batch import Apart, Batch, Judgement, Rules
from ingest.broker.receipts import Receipts, describe_journalled, describe_loaded
from ingest.checks import Directory
from ingest.identity import cut_oversize, receipt_id
from ingest.journal import OVERSIZE, Entry, Message
from ingest.precedence import Precedence
from ingest.settings import MqttSettings
from water.clock import SystemClock
from water.loading import Outcome
from water.policy import Policy
from water.refusals import SetAside, Undecodable


def test_the_id_is_sixteen_hex_digits_of_the_payload():
    assert receipt_id(b"") == "e4a6a0577479b2b4"
    assert receipt_id(b"a") != receipt_id(b"b")


def test_journalled_ids_go_to_their_supplier_and_to_nobody_else():
    sent = [("north", b"a"), ("south", b"b"), ("?", b"")]
    group = [Message(supplier, "t", payload, 1) for supplier, payload in sent]
    assert describe_journalled(group) == {"north": [receipt_id(b"a")], "south": [receipt_id(b"b")]}


def loaded(*judgements):
    """A batch whose messages have the payloads b"a", b"b" …"""
    batch = Batch(Rules((), Policy(), Directory()))
    batch.ends = [judgement.end for judgement in judgements]
    batch.apart = {
        place: Apart(judgement.refused, judgement.reason)
        for place, judgement in enumerate(judgements)
        if judgement.refused or judgement.reason
    }
    batch.entries = [
        Entry(1, 0, 0, number, number, judgement.supplier, "t", bytes([96 + number]), 1, 0)
        for number, judgement in enumerate(judgements, 1)
    ]
    return batch


def test_a_loaded_receipt_says_what_became_of_each_part():
    batch = loaded(
        Judgement("north", 0, 3, [(1, "future")], None),
        Judgement("north", 3, 3, [], Undecodable.MALFORMED),
        Judgement("north", 3, 3, [], SetAside.STATUS),
        Judgement("?", 3, 3, [], Undecodable.UNKNOWN_TOPIC),
    )
    outcomes = [Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT]
    assert to_builtins(describe_loaded(batch, outcomes)) == {
        "north": [
            {"id": receipt_id(b"a"), "stored": 1, "duplicate": 1, "conflict": 1,
             "refused": [(1, "future")]},
            {"id": receipt_id(b"b"), "undecodable": "malformed"},
            {"id": receipt_id(b"c"), "set_aside": "status"},
        ]
    }  # fmt: skip


def test_a_loaded_receipt_names_the_parts_that_the_server_of_the_store_refuses():
    batch = loaded(
        Judgement("north", 0, 1, [], None), Judgement("north", 1, 4, [(1, "future")], None)
    )
    outcomes = [Outcome.STORED, Outcome.STORED, Outcome.REFUSED, Outcome.DUPLICATE]
    assert to_builtins(describe_loaded(batch, outcomes)["north"][1]) == {
        "id": receipt_id(b"b"), "stored": 1, "duplicate": 1, "conflict": 0,
        "refused": [(1, "future"), (2, "store_refused")],
    }  # fmt: skip


def test_receipts_are_dropped_and_ingest_is_not_held_up_while_nobody_publishes():
    receipts = Receipts(MqttSettings(), SystemClock())
    done = threading.Event()

    def tell():
        for number in range(250):
            receipts.journalled([Message("north", "t", b"%d" % number, 1)] * 1_000, 1)
        done.set()

    threading.Thread(target=tell, daemon=True).start()
    assert done.wait(5)
    assert receipts.dropped == 50


def test_an_oversized_payload_is_receipted_under_the_id_of_what_was_sent():
    sent = b"x" * 5_000
    kept = cut_oversize(sent)
    assert len(kept) < 2_000
    assert receipt_id(kept, OVERSIZE) == receipt_id(sent)


def test_what_waits_for_its_receipt_is_bounded_by_its_bytes_too():
    receipts = Receipts(MqttSettings(), SystemClock())
    group = [Message("north", "t", bytes(1 << 20), 1)] * 40
    for _ in range(3):
        receipts.journalled(group, 1)
    assert receipts.dropped == 1, "40 MiB wait, then 80; more is dropped"
    receipts._publish_next()
    receipts.journalled(group, 1)
    assert receipts.dropped == 1, "what the client holds for the next connection makes room"


def test_suppliers_that_wait_apart_leave_half_of_the_room_to_the_others():
    receipts = Receipts(MqttSettings(), SystemClock())
    group = [Message("north", "t", bytes(1 << 20), 1)] * 20
    for _ in range(3):
        receipts.journalled(group, 1, apart=True)
    assert receipts.dropped == 1, "20 MiB wait, then 40; the other 24 are not theirs"
    receipts.journalled(group, 1)
    receipts.journalled(group, 1)
    assert receipts.dropped == 1


def test_suppliers_that_wait_apart_are_told_last(monkeypatch):
    receipts, told = Receipts(MqttSettings(), SystemClock()), []
    monkeypatch.setattr(receipts, "_publish", lambda _, by_supplier: told.extend(by_supplier))
    for supplier in ("flood", "north", "south"):
        messages = [Message(supplier, "t", b"1", 1)]
        receipts.journalled(messages, 1, apart=supplier == "flood")
    for _ in range(3):
        receipts._publish_next()
    assert told == ["north", "south", "flood"]


def test_who_hears_that_a_message_is_loaded_is_not_told_as_well_that_it_was_journalled(monkeypatch):
    receipts, told = Receipts(MqttSettings(), SystemClock()), []
    monkeypatch.setattr(receipts, "_publish", lambda kind, _: told.append(kind))
    batch = loaded(Judgement("north", 0, 1, [], None), Judgement("north", 1, 2, [], None))
    receipts.journalled([Message("north", "t", b"a", 1), Message("north", "t", b"b", 1)], 2)
    receipts.journalled([Message("north", "t", b"c", 1)], 3)
    receipts.journalled([Message("flood", "t", b"a", 1)], 1, apart=True)
    receipts.loaded(batch, None)
    for _ in range(4):
        receipts._publish_next()
    assert told == ["journalled", "loaded", "journalled"], "of the third message and the one apart"


class Patient(Precedence):
    """Counts how often somebody would have waited for the loader."""

    def __init__(self):
        super().__init__()
        self.waited = 0

    def let_load(self, _):
        self.waited += 1


def test_a_backlog_is_loaded_before_it_is_told_of_as_long_as_there_is_room():
    patient = Patient()
    receipts = Receipts(MqttSettings(), SystemClock(), patient)
    for _ in range(190):
        receipts.journalled([Message("north", "t", b"1", 1)] * 1_000, 1)
    for _ in range(15):
        receipts._publish_next()
    assert patient.waited == 0, "an eighth of the room is no more"
    receipts._publish_next()
    assert patient.waited == 1


def test_receipts_that_the_client_has_no_room_for_are_counted_as_dropped():
    receipts = Receipts(MqttSettings(), SystemClock())
    for _ in range(1_003):
        receipts.journalled([Message("north", "t", b"1", 1)], 1)
        receipts._publish_next()
    assert receipts.dropped == 3
