"""The journal: append-only segments; the only point at which a message becomes durable.

`entries` is the form of a segment and `compressed` that of an old one (pure), `segments` their
files, `writer` appends groups, `reader` follows, `recent` spares it the reading of the newest,
`compression` makes closed segments small, `undecoded` says what messages were counted as.
docs/decisions/0003 says why the journal comes before the acknowledgement.
"""

from ingest.journal.entries import LOST, OVERSIZE, REPEATED, RETAINED, Entry, Message
from ingest.journal.reader import JournalReader
from ingest.journal.recent import Recent
from ingest.journal.writer import JournalWriter, open_journal

__all__ = [
    "LOST",
    "OVERSIZE",
    "REPEATED",
    "RETAINED",
    "Entry",
    "JournalReader",
    "JournalWriter",
    "Message",
    "Recent",
    "open_journal",
]
