"""Alibaba Cloud IoT: Alink JSON (help.aliyun.com/document_detail/89301).

Topic `/sys/{productKey}/{deviceName}/thing/event/property/post`. `params` holds the properties,
each the value alone or with the millisecond when it was true. Names of devices are unique in a
product, so the address has both. Identifiers of a module of its own (`module:identifier`) and raw
bytes (`thing/model/up_raw`) aren't read.
"""

import re

from ingest.decoders.decoded import Decoded, Unreadable
from ingest.decoders.properties import decode_params
from water.refusals import SetAside, Undecodable

_TOPIC = re.compile(r"(?:.*/)?sys/([^/]+/[^/]+)/thing/(.+)", re.DOTALL)
_EVENT = re.compile(r"event/(?!property/)[^/]+/post|.+_reply|service/.+", re.DOTALL)


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:
    """Decode one message of a device."""
    topic = _TOPIC.fullmatch(rest)
    if topic is None:
        raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{rest!r:.80}")
    address, kind = topic.groups()
    if kind == "model/up_raw":
        raise Unreadable(Undecodable.NO_QUANTITY, "raw bytes of the product's own")
    if _EVENT.fullmatch(kind):
        return SetAside.EVENT
    if kind != "event/property/post":
        raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{kind!r:.80}")
    return decode_params(address, payload, received_at)
