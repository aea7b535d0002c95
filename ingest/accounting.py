"""How far each supplier's messages are loaded, in the journal's own numbers; names of accounts.

The sums themselves are water.accounting's.
"""

from collections.abc import Mapping

from water.loading import Outcome, Tally
from water.refusals import Refusal, SetAside, Undecodable

ACCOUNTS = {
    Outcome.STORED: "stored",
    Outcome.DUPLICATE: "duplicate",
    Outcome.CONFLICT: "conflict",
    Outcome.REFUSED: "quarantined",
}
"""The account of the readings' sum under which each outcome is counted."""

LABELS: Mapping[Undecodable | SetAside | None, str] = {
    None: "decoded",
    **{reason: f"undecodable/{reason.value}" for reason in Undecodable},
    **{reason: f"set_aside/{reason.value}" for reason in SetAside},
}
"""Why a message holds no reading, None = it does → `account` or `account/reason` of its count."""


def tally_message(supplier: str, label: str) -> Tally:
    """What a message is counted as that has one of LABELS."""
    account, _, reason = label.partition("/")
    return Tally(supplier, "messages", account, reason)


def tally_outcome(supplier: str, outcome: Outcome) -> Tally:
    """What a reading is counted as once the store has had its say."""
    reason = Refusal.STORE_REFUSED.value if outcome is Outcome.REFUSED else ""
    return Tally(supplier, "readings", ACCOUNTS[outcome], reason)


def name_in_tallies(journal: str) -> str:
    """The reason under which the messages of a journal are counted as received and as waiting.

    Every journal numbers its messages for itself; the sums add them up. "" for the journal of an
    installation with one worker.
    """
    return "" if journal == "ingest" else journal


def list_journals(tallies: Mapping[Tally, int]) -> set[str]:
    """The names of all journals of which messages were counted."""
    return {t.reason or "ingest" for t in tallies if t[1:3] == ("messages", "received")}


def find_received(journal: str, tallies: Mapping[Tally, int]) -> dict[str, int]:
    """Messages a supplier that a journal had received when a load of it was last committed."""
    name = name_in_tallies(journal)
    return {t.supplier: n for t, n in tallies.items() if t[1:] == ("messages", "received", name)}


def find_loaded(journal: str, tallies: Mapping[Tally, int]) -> dict[str, int]:
    """The number of each supplier's newest message of a journal that was loaded.

    From what stood beside the position when it was kept: received less waiting. What the messages
    were counted as has no part in it, else a message that got lost would look loaded.
    """
    name = name_in_tallies(journal)
    return {
        supplier: count - tallies.get(Tally(supplier, "messages", "waiting", name), 0)
        for supplier, count in find_received(journal, tallies).items()
    }


def count_lost(journal: str, tallies: Mapping[Tally, int]) -> dict[Tally, int]:
    """What to add so that the messages that wait in a journal count as lost with it."""
    lost = dict[Tally, int]()
    for tally, count in tallies.items():
        if tally[1:] == ("messages", "waiting", name_in_tallies(journal)) and count:
            lost[tally] = -count
            reason = Undecodable.JOURNAL_LOST.value
            lost[Tally(tally.supplier, "messages", "undecodable", reason)] = count
    return lost


def count_journal(
    journal: str,
    tallies: Mapping[Tally, int],
    received: Mapping[str, int],
    loaded: Mapping[str, int],
) -> dict[Tally, int]:
    """What to add so that the store shows what the journal received and what waits in it.

    `received` and `loaded` are numbers of messages: the newest of each supplier in the journal,
    and the newest that the load takes the position to.
    """
    name, shown = name_in_tallies(journal), dict[Tally, int]()
    for supplier, count in received.items():
        shown[Tally(supplier, "messages", "received", name)] = count
        shown[Tally(supplier, "messages", "waiting", name)] = count - loaded.get(supplier, 0)
    grown = {tally: count - tallies.get(tally, 0) for tally, count in shown.items()}
    return {tally: count for tally, count in grown.items() if count}
