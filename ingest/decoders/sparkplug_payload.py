"""The protobuf message of Sparkplug B, as far as it is read; the rest is passed over.

Names and numbers of the fields are those of sparkplug_b.proto (Eclipse Tahu; Sparkplug 3.0,
section 6.4). So few fields need no generated code, which would be bound to one version of the
library: the description is put together here.
"""

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from ingest.decoders.decoded import Unreadable
from water.refusals import Undecodable

_PACKAGE = "org.eclipse.tahu.protobuf"
_ONE, _MANY = Field.LABEL_OPTIONAL, Field.LABEL_REPEATED
_UINT32, _UINT64 = Field.TYPE_UINT32, Field.TYPE_UINT64
_BOOL, _STRING = Field.TYPE_BOOL, Field.TYPE_STRING

_FIELDS = {
    "Payload": [
        (1, "timestamp", _ONE, _UINT64),
        (2, "metrics", _MANY, "Metric"),
        (4, "uuid", _ONE, _STRING),
    ],
    "Metric": [
        (1, "name", _ONE, _STRING),
        (2, "alias", _ONE, _UINT64),
        (3, "timestamp", _ONE, _UINT64),
        (4, "datatype", _ONE, _UINT32),
        (6, "is_transient", _ONE, _BOOL),
        (7, "is_null", _ONE, _BOOL),
        (9, "properties", _ONE, "PropertySet"),
    ],
    "PropertySet": [(1, "keys", _MANY, _STRING), (2, "values", _MANY, "PropertyValue")],
    "PropertyValue": [(3, "int_value", _ONE, _UINT32)],
}
"""Message → its fields: number, name, how many, and type or the message that they are."""

_VALUES = [
    (10, "int_value", _ONE, _UINT32),
    (11, "long_value", _ONE, _UINT64),
    (12, "float_value", _ONE, Field.TYPE_FLOAT),
    (13, "double_value", _ONE, Field.TYPE_DOUBLE),
    (14, "boolean_value", _ONE, _BOOL),
    (15, "string_value", _ONE, _STRING),
]
"""Of these fields a metric has one at most."""


def _describe(message: DescriptorProto, fields: list[Any], **more: int) -> None:
    for number, name, label, kind in fields:
        field = message.field.add(number=number, name=name, label=label, **more)
        if isinstance(kind, str):
            field.type, field.type_name = Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
        else:
            field.type = kind


def _make_class() -> Any:
    file = FileDescriptorProto(name="sparkplug_b.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _FIELDS.items():
        _describe(file.message_type.add(name=name), fields)
    metric = file.message_type[1]
    metric.oneof_decl.add(name="value")
    _describe(metric, _VALUES, oneof_index=0)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Payload"))


Payload = _make_class()
"""The class of the whole message; made when the program starts, so it has no static type."""


def read_payload(payload: bytes) -> Any:
    """The message in some bytes.

    Raises:
        Unreadable: they are none.
    """
    message = Payload()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise Unreadable(Undecodable.MALFORMED, f"{error}"[:200]) from None
    return message
