"""What the configuration settles with single suppliers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.decoders import Decoder
from ingest.signatures import Signing


@dataclass(frozen=True, slots=True)
class Agreements:
    """How single suppliers' messages are read, beyond what their dialect says.

    Attributes:
        decoders: (supplier, dialect) → decoder, where the configuration says how to read.
        form: how every message is written, whatever dialect its addresses are of: imports.
        signatures: supplier → how its messages are signed.
    """

    decoders: Mapping[tuple[str, str], Decoder] = field(
        default_factory=dict[tuple[str, str], Decoder]
    )
    form: Decoder | None = None
    signatures: Mapping[str, Signing] = field(default_factory=dict[str, Signing])

    def suppliers(self) -> frozenset[str]:
        """All that something is settled with; one that nobody knows is a misspelt name."""
        return frozenset(self.signatures) | {supplier for supplier, _ in self.decoders}


NO_AGREEMENTS = Agreements()
