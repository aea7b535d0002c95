"""What the configuration settles with single suppliers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.decoders import Decoder


@dataclass(frozen=True, slots=True)
class Agreements:
    """How single suppliers' messages are read, beyond what their dialect says.

    Attributes:
        decoders: (supplier, dialect) → decoder, of dialects that nobody can read unconfigured.
    """

    decoders: Mapping[tuple[str, str], Decoder] = field(
        default_factory=dict[tuple[str, str], Decoder]
    )


NO_AGREEMENTS = Agreements()
