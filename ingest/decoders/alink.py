"""Alibaba Cloud IoT: Alink JSON (help.aliyun.com/document_detail/89301).

Topic `/sys/{productKey}/{deviceName}/thing/event/property/post`. `params` holds the properties,
each the value alone or with the millisecond when it was true. Names of devices are unique in a
product, so the address has both. Identifiers of a module of its own (`module:identifier`) and raw
bytes (`thing/model/up_raw`) aren't read.
"""

import re
from typing import Any

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, read_json
from ingest.decoders.properties import decode_timed, require_quantity
from water.refusals import SetAside, Undecodable

_TOPIC = re.compile(r"(?:.*/)?sys/([^/]+/[^/]+)/thing/(.+)", re.DOTALL)
_EVENT = re.compile(r"event/(?!property/)[^/]+/post|.+_reply|service/.+", re.DOTALL)


class _Message(msgspec.Struct, gc=False):
    params: dict[str, Any]


_MESSAGE = msgspec.json.Decoder(_Message)


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
    params = read_json(payload, _MESSAGE).params
    if not params:
        return SetAside.EMPTY
    return require_quantity(decode_timed(address, params, received_at), params)
