"""What can go wrong in ingest, apart from bad input (which is counted, never raised)."""


class IngestError(Exception):
    """Something that ingest can't put right by itself."""


class SettingsError(IngestError, ValueError):
    """A setting that can't be; the message names it, what stands there and what may stand there."""


class JournalError(IngestError):
    """The journal folder can't be used as it is."""


class JournalTakenError(JournalError):
    """Another process writes this journal."""


class JournalUnwritableError(IngestError):
    """A group could not be made durable (disk full, device error); nothing of it counts."""


class DisconnectedError(IngestError):
    """The broker could not be reached, refused us or went away."""


class UnaskedQosError(DisconnectedError):
    """The broker sent a PUBLISH of QoS 2 or 3; taken as QoS 1 it would be lost or come for ever."""

    def __init__(self) -> None:
        super().__init__(
            "the broker sent a message with a QoS that was never subscribed to: "
            "end our session there (docs/operating.md)"
        )
