"""Signed payloads: a line in front of what any dialect says. Pure; decision 0017.

`jieshui-hmac-sha256 {seconds} {hex}` and a line feed. The code is HMAC-SHA256 (RFC 2104) over
topic, NUL, seconds, NUL, payload; MQTT allows no NUL in a topic, so no two messages are the same
bytes. Judged by when the message arrived, so that a replay says what the first reading said.
"""

import hmac
import re
from dataclasses import dataclass, field

from water.refusals import Undecodable

PREFIX = b"jieshui-hmac-sha256 "
_LINE = re.compile(PREFIX + rb"(\d{1,12}) ([0-9a-f]{64})\n")


@dataclass(frozen=True, slots=True)
class Signing:
    """What is agreed with a supplier.

    Attributes:
        keys: each of them makes a good signature; two while they are changed.
        window_s: how far the seconds of a signature may be from the arrival, either way.
        required: whether a message without signature is refused.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    window_s: int = 300
    required: bool = True


def unwrap(
    signing: Signing, topic: str, payload: bytes, received_ms: int
) -> bytes | tuple[Undecodable, str]:
    """What stands behind a good signature, or why it is not good, with a detail for people."""
    if not payload.startswith(PREFIX):
        return (Undecodable.UNSIGNED, "") if signing.required else payload
    line = _LINE.match(payload)
    if line is None:
        return Undecodable.BAD_SIGNATURE, "its line is not written as agreed"
    seconds, said = line.groups()
    content = payload[line.end() :]
    signed = b"\0".join((topic.encode(), seconds, content))
    codes = (hmac.digest(key, signed, "sha256") for key in signing.keys)
    if not any(hmac.compare_digest(code, bytes.fromhex(said.decode())) for code in codes):
        return Undecodable.BAD_SIGNATURE, "no key of the supplier makes it"
    late = received_ms // 1000 - int(seconds)
    if abs(late) > signing.window_s:
        return Undecodable.SIGNATURE_EXPIRED, f"signed {late} s before it arrived"
    return content
