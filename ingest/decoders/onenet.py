"""OneNET of China Mobile: properties of a thing model as OneJSON (open.iot.10086.cn).

Topic `$sys/{product}/{device}/thing/property/post`. `params` holds the properties,
`{"value": …}`, with `time` in milliseconds where the device says when it was true. Names of devices
are unique in a product, so the address has both. Data points of the older kind (`dp/…`) have no
model that would name a unit and aren't read.
"""

import re

from ingest.decoders.decoded import Decoded, Unreadable
from ingest.decoders.properties import decode_params
from water.refusals import SetAside, Undecodable

_TOPIC = re.compile(r"(?:.*/)?\$sys/([^/]+/[^/]+)/(.+)", re.DOTALL)
_EVENT = re.compile(r"thing/event/.+|.+/reply|.+_reply|thing/property/(?:set|get)", re.DOTALL)


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:
    """Decode one message of a device."""
    topic = _TOPIC.fullmatch(rest)
    if topic is None:
        raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{rest!r:.80}")
    address, kind = topic.groups()
    if _EVENT.fullmatch(kind):
        return SetAside.EVENT
    if kind.startswith("dp/"):
        raise Unreadable(Undecodable.NO_QUANTITY, "data points have no model")
    if kind != "thing/property/post":
        raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{kind!r:.80}")
    return decode_params(address, payload, received_at)
