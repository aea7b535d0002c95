"""Huawei Cloud IoTDA: properties of a product model (support.huaweicloud.com).

As a device reports them (api-iothub, iot_06_v5_3010): topic
`$oc/devices/{device}/sys/properties/report`, or `…/sys/gateway/sub_devices/properties/report` with
a list of devices. As the platform passes them on (iot_06_v5_01202), on any topic: `notify_data`;
and as OceanConnect did (iot_06_0035): `notifyType`. Each service has its properties and when they
were true; without that the platform takes its own time, so we take its `event_time` or the time of
arrival. It does the same for a time that it can't read; that is refused here.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, read_json, read_text
from ingest.decoders.properties import decode_properties, require_quantity
from water.readings import Quality
from water.refusals import SetAside, Undecodable

_TOPIC = re.compile(r"(?:.*/)?\$oc/devices/([^/]+)/sys/(.+)", re.DOTALL)
_REPORT = re.compile(r"properties/report(\?.*)?|properties/get/response/.*", re.DOTALL)
_GATEWAY = re.compile(r"gateway/sub_devices/properties/report(\?.*)?", re.DOTALL)
_OTHER = re.compile(r"(?:messages|events|commands|shadow|properties/set)/.*", re.DOTALL)


class _Service(msgspec.Struct, gc=False):
    properties: dict[str, Any] | None = None
    event_time: Any = None
    data: dict[str, Any] | None = None
    old_time: Any = msgspec.field(name="eventTime", default=None)


class _Device(msgspec.Struct, gc=False):
    device_id: Any = None
    services: list[_Service] = []


class _Report(_Device, gc=False):
    devices: list[_Device] = []


class _Notice(msgspec.Struct, gc=False):
    header: _Device | None = None
    body: _Device | None = None


class _Push(msgspec.Struct, gc=False):
    resource: Any = None
    event_time: Any = None
    notify_data: _Notice | None = None
    old_kind: Any = msgspec.field(name="notifyType", default=None)
    old_device: Any = msgspec.field(name="deviceId", default=None)
    service: _Service | None = None
    services: list[_Service] = []


_REPORTED = msgspec.json.Decoder(_Report)
_PUSHED = msgspec.json.Decoder(_Push)


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:
    """Decode one message of a device or of the platform."""
    topic = _TOPIC.fullmatch(rest)
    if topic is None:
        return _decode_push(read_json(payload, _PUSHED), received_at)
    device, kind = topic.groups()
    if _OTHER.fullmatch(kind):
        return SetAside.EVENT
    report = read_json(payload, _REPORTED)
    if _REPORT.fullmatch(kind):
        return _decode_services([(device, report.services)], received_at)
    if _GATEWAY.fullmatch(kind):
        devices = [(read_text(sub.device_id), sub.services) for sub in report.devices]
        return _decode_services(devices, received_at)
    raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{kind!r:.80}")


def _decode_push(push: _Push, received_at: int) -> list[Decoded] | SetAside:
    """What the platform tells an application."""
    if push.resource == "device.property":
        notice = push.notify_data
        if notice is None or notice.header is None or notice.body is None:
            raise Unreadable(Undecodable.MALFORMED, "notify_data without header or body")
        device, services = notice.header.device_id, notice.body.services
    elif push.old_kind in ("deviceDataChanged", "deviceDatasChanged"):
        device = push.old_device
        services = push.services if push.service is None else [push.service]
    elif push.resource == "device.status":
        return SetAside.STATUS
    elif push.resource is not None or push.old_kind is not None:
        return SetAside.EVENT
    else:
        raise Unreadable(Undecodable.UNKNOWN_TOPIC, "neither a device's topic nor a notification")
    told = received_at if push.event_time is None else push.event_time
    return _decode_services([(read_text(device), services)], told)


def _decode_services(
    devices: Sequence[tuple[str, Sequence[_Service]]], told: object
) -> list[Decoded] | SetAside:
    """The readings of devices' services; `told` stands for a time that a service doesn't give."""
    readings: list[Decoded] = []
    names: dict[str, Any] = {}
    for device, services in devices:
        if not device:
            raise Unreadable(Undecodable.MALFORMED, "a device without device_id")
        for service in services:
            given = service.data if service.properties is None else service.properties
            at = service.old_time if service.event_time is None else service.event_time
            quality = Quality.CLOCK_ASSUMED if at is None else Quality.NONE
            names.update(given or {})
            readings += decode_properties(device, given or {}, told if at is None else at, quality)
    return require_quantity(readings, names) if names else SetAside.EMPTY
