"""Signed payloads: HMAC-SHA256 over topic, seconds and payload, within a window of the arrival."""

import re
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from ingest.agreements import Agreements
from ingest.batch import Batch, Rules
from ingest.broker.receipts import describe_loaded
from ingest.checks import make_directory
from ingest.decoders import Decoded
from ingest.identity import receipt_id
from ingest.journal import RETAINED, Entry
from ingest.signatures import Signing, unwrap
from jieshui.agreements import make_agreements
from jieshui.config import load_settings
from jieshui.errors import JieshuiError
from simulators.publish import sign
from water.meters import KnownMeter
from water.policy import Policy
from water.refusals import SetAside, Undecodable

AT = 1_789_430_400
TOPIC = "water/v1/east/jieshui/M-1/reading"
PAYLOAD = b'{"at":1789430400,"register_m3":1234.567}'
KEY, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4
SIGNING = Signing((KEY.encode(),))
PAGE = (Path(__file__).parents[2] / "docs/connecting.md").read_text(encoding="utf-8")


def test_the_code_is_that_of_openssl():
    """printf 'a\\0%s\\0b' 1789430400 | openssl dgst -sha256 -hmac "$KEY"."""
    code = "6d34674e0cdfc0c64be8d61a95016f182c646f8c23d647aa9b803d46378350c3"
    line = f"jieshui-hmac-sha256 1789430400 {code}\n".encode()
    assert unwrap(SIGNING, "a", line + b"b", AT * 1000) == b"b"


def judge(payload, signing=SIGNING, topic=TOPIC, received=AT):
    found = unwrap(signing, topic, payload, received * 1000)
    return found if isinstance(found, bytes) else found[0]


SIGNED = sign(KEY, TOPIC, PAYLOAD, AT)


@pytest.mark.parametrize(
    ("payload", "options", "expected"),
    [
        (SIGNED, {}, PAYLOAD),
        (SIGNED, {"received": AT + 300}, PAYLOAD),
        (SIGNED, {"received": AT - 300}, PAYLOAD),
        (SIGNED, {"received": AT + 301}, Undecodable.SIGNATURE_EXPIRED),
        (SIGNED, {"received": AT - 301}, Undecodable.SIGNATURE_EXPIRED),
        (SIGNED, {"received": AT + 301, "signing": Signing((KEY.encode(),), 301)}, PAYLOAD),
        (SIGNED, {"signing": Signing((OTHER.encode(), KEY.encode()))}, PAYLOAD),
        (SIGNED, {"signing": Signing((OTHER.encode(),))}, Undecodable.BAD_SIGNATURE),
        (SIGNED, {"topic": TOPIC.replace("M-1", "M-2")}, Undecodable.BAD_SIGNATURE),
        (SIGNED.replace(b"1234.567", b"1234.568"), {}, Undecodable.BAD_SIGNATURE),
        (SIGNED.replace(b" 1789430400 ", b" 1789430401 "), {}, Undecodable.BAD_SIGNATURE),
        (SIGNED.replace(b"\n", b"\r\n"), {}, Undecodable.BAD_SIGNATURE),
        (SIGNED.replace(b" 1789430400 ", b"  1789430400 "), {}, Undecodable.BAD_SIGNATURE),
        (SIGNED[:60], {}, Undecodable.BAD_SIGNATURE),
        (PAYLOAD, {}, Undecodable.UNSIGNED),
        (PAYLOAD, {"signing": Signing((KEY.encode(),), required=False)}, PAYLOAD),
        (SIGNED[:60], {"signing": Signing((KEY.encode(),), required=False)},
         Undecodable.BAD_SIGNATURE),
    ],
    ids=["good", "the end of the window", "a clock that is ahead", "too old", "too far ahead",
         "a wider window", "the second of two keys", "another's key", "another topic",
         "another register", "other seconds", "CRLF", "two blanks", "half a line", "none",
         "none where none is required", "a bad one where none is required"],
)  # fmt: skip
def test_a_signature_is_good_or_says_why_not(payload, options, expected):
    assert judge(payload, **options) == expected


@given(st.binary(max_size=120), st.integers(0, 150), st.integers(0, 3))
def test_no_other_bytes_pass_for_signed(noise, at, cut):
    changed = SIGNED[:at] + noise + SIGNED[at + cut :]
    expected = {PAYLOAD} if changed == SIGNED else {Undecodable.UNSIGNED, Undecodable.BAD_SIGNATURE}
    assert judge(changed) in expected


def test_the_key_is_never_shown():
    assert KEY not in repr(Agreements(signatures={"east": SIGNING}))


def entry(payload, topic=TOPIC, received=AT, flags=0):
    supplier = topic.split("/")[2]
    return Entry(1, 0, 1, 1, 1, supplier, topic, payload, received * 1000, flags, 0)


DIRECTORY = make_directory(1, frozenset({"east", "west"}), {})
RULES = Rules((), Policy(), DIRECTORY, Agreements(signatures={"east": SIGNING}))
WEST = TOPIC.replace("east", "west")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (entry(SIGNED), [Decoded("M-1", AT, 1234.567)]),
        (entry(PAYLOAD, WEST), [Decoded("M-1", AT, 1234.567)]),
        (entry(PAYLOAD), Undecodable.UNSIGNED),
        (entry(sign(KEY, TOPIC, b"{", AT)), Undecodable.MALFORMED),
        (entry(sign(KEY, TOPIC, b" ", AT)), SetAside.EMPTY),
        (entry(sign(KEY, TOPIC, b"Offline", AT)), SetAside.LAST_WILL),
        (entry(b"offline"), SetAside.LAST_WILL),
        (entry(SIGNED, flags=RETAINED), SetAside.RETAINED),
        (entry(sign(KEY, WEST, PAYLOAD, AT), WEST), Undecodable.BAD_SIGNATURE),
    ],
    ids=["signed", "a supplier without agreement", "unsigned", "signed garbage", "signed blanks",
         "a signed will", "a will holds nothing to protect", "retained", "a key unknown here"],
)  # fmt: skip
def test_a_message_is_read_behind_its_signature(message, expected):
    contents = RULES.read(message)
    assert (contents.reason or contents.readings) == expected


METER = KnownMeter("M-1", "east", 100_000.0, 12.5, None, None)
KNOWN = make_directory(1, frozenset({"east"}), {("east", "jieshui", "M-1"): METER})


@pytest.mark.parametrize(("payload", "stored"), [(SIGNED, 1), (PAYLOAD, 0)])
def test_no_short_way_leads_past_a_signature(payload, stored):
    batch = Batch(Rules((), Policy(), KNOWN, RULES.agreements))
    batch.take(deque([entry(payload)]))
    assert len(batch.readings) == stored
    assert [judgement.reason for judgement in batch.judgements] == [
        None if stored else Undecodable.UNSIGNED
    ]


def test_a_replay_years_later_reads_what_the_first_load_read():
    assert RULES.read(entry(SIGNED)) == RULES.read(entry(SIGNED))
    assert RULES.read(entry(SIGNED, received=AT + 999)).reason is Undecodable.SIGNATURE_EXPIRED


def test_the_receipt_names_the_whole_payload():
    batch = Batch(RULES)
    batch.refuse_entry(entry(SIGNED), "away")
    (receipt,) = to_builtins(describe_loaded(batch, None)["east"])
    assert receipt["id"] == receipt_id(SIGNED, 0)


def configured(tmp_path, keys, more=""):
    (tmp_path / "east.key").write_text(keys, encoding="utf-8")
    file = tmp_path / "jieshui.toml"
    file.write_text(
        f'[[mqtt.signatures]]\nsupplier = "east"\nkey_file = "east.key"\n{more}', "utf-8"
    )
    return make_agreements(load_settings(file).mqtt).signatures["east"]


def test_the_configuration_names_a_file_of_one_key_or_two(tmp_path):
    assert configured(tmp_path, f"{KEY}\n") == Signing((KEY.encode(),))
    two = configured(tmp_path, f"{KEY}\n{OTHER}\n", "window_s = 60\nrequired = false\n")
    assert two == Signing((KEY.encode(), OTHER.encode()), 60, required=False)


@pytest.mark.parametrize(
    ("keys", "more", "said"),
    [
        ("", "", "east.key is empty"),
        ("short\n", "", "of 32 characters or more"),
        (f"{KEY}\n{KEY}\n{KEY}\n", "", "a key, or two"),
        (KEY, "window_s = 0\n", r"line 4: mqtt.signatures.0.window_s"),
        (KEY, '[[mqtt.signatures]]\nsupplier = "east"\nkey_file = "x"\n', "two tables.*'east'"),
    ],
)
def test_keys_that_can_not_be_stop_the_start_and_are_not_shown(tmp_path, keys, more, said):
    with pytest.raises(JieshuiError, match=said) as caught:
        configured(tmp_path, keys, more)
    assert KEY not in str(caught.value)


def test_a_file_of_keys_that_is_not_there_is_named(tmp_path):
    file = tmp_path / "jieshui.toml"
    file.write_text('[[mqtt.signatures]]\nsupplier = "east"\nkey_file = "none"\n', "utf-8")
    with pytest.raises(JieshuiError, match="none"):
        make_agreements(load_settings(file).mqtt)


def test_the_example_on_the_page_signs(monkeypatch):
    monkeypatch.setattr("time.time", lambda: AT + 0.5)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(example, names)
    assert names["sign"](KEY, TOPIC, PAYLOAD) == SIGNED
