"""How a supplier's messages look: payload bytes and topics of the three dialects.

Written from the recorded payloads of docs, not from the decoders: one mistake can't cancel the
other.
"""

import hashlib
from collections.abc import Iterable, Sequence

ROOT = "water/v1"


def jieshui_topic(supplier_id: str, meter_id: str) -> str:
    """The topic of a reading; "-" stands for a batch of many meters."""
    return f"{ROOT}/{supplier_id}/jieshui/{meter_id}/reading"


def encode_jieshui(readings: Iterable[str]) -> bytes:
    """A batch of readings that are JSON objects already."""
    return f'{{"readings":[{",".join(readings)}]}}'.encode()


def jieshui_readings(
    instants: Sequence[str], registers_m3: Sequence[float], meter_id: str | None = None
) -> list[str]:
    """A JSON object a reading; `instants` are JSON already (epoch seconds, or a quoted text)."""
    who = f',"meter":"{meter_id}"' if meter_id else ""
    return [
        f'{{"at":{at},"register_m3":{register}{who}}}'
        for at, register in zip(instants, registers_m3, strict=True)
    ]


def jieshui_zone_readings(
    instants: Sequence[str],
    registers_m3: Sequence[float],
    flows_m3_h: Sequence[float],
    pressures_mpa: Sequence[float],
) -> list[str]:
    """The same with the flow and the pressure that an inlet meter measures as well."""
    columns = zip(instants, registers_m3, flows_m3_h, pressures_mpa, strict=True)
    return [
        f'{{"at":{at},"register_m3":{register},"flow_m3_h":{flow},"pressure_mpa":{pressure}}}'
        for at, register, flow, pressure in columns
    ]


def wmbus_topic(supplier_id: str, name: str) -> str:
    """wmbusmeters/$METER_NAME below the supplier's tree."""
    return f"{ROOT}/{supplier_id}/wmbusmeters/{name}"


def encode_wmbus(name: str, number: str, register_m3: float, received_utc: str) -> bytes:
    """A telegram as wmbusmeters prints it; `timestamp` is the time of reception, UTC."""
    return (
        f'{{"_":"telegram","media":"water","meter":"iperl","name":"{name}","id":"{number}",'
        f'"max_flow_m3h":0,"total_m3":{register_m3},"timestamp":"{received_utc}"}}'
    ).encode()


_APPLICATION = "17c82e96-be03-4f38-aef3-f83d48582d97"


def chirpstack_topic(supplier_id: str, dev_eui: str) -> str:
    """The uplink topic of ChirpStack v4 below the supplier's tree."""
    return f"{ROOT}/{supplier_id}/chirpstack/application/{_APPLICATION}/device/{dev_eui}/event/up"


def encode_chirpstack(
    dev_eui: str, name: str, count: int, time_utc: str, readings: Iterable[str]
) -> bytes:
    """An uplink with a day's readings in `object`, as a codec decodes them."""
    key = hashlib.blake2b(f"{dev_eui}{time_utc}".encode(), digest_size=16).hexdigest()
    uuid = f"{key[:8]}-{key[8:12]}-4{key[13:16]}-8{key[17:20]}-{key[20:]}"
    return (
        f'{{"deduplicationId":"{uuid}","time":"{time_utc}","deviceInfo":{{'
        f'"tenantId":"52f14cd4-c6f1-4fbd-8f87-4025e1d49242","applicationId":"{_APPLICATION}",'
        f'"applicationName":"water meters","deviceProfileName":"ultrasonic DN50",'
        f'"deviceName":"{name}","devEui":"{dev_eui}","tags":{{}}}},"devAddr":"00{key[:6]}",'
        f'"adr":true,"dr":2,"fCnt":{count},"fPort":100,"confirmed":true,"data":"qg==",'
        f'"object":{{"readings":[{",".join(readings)}]}},'
        f'"rxInfo":[{{"gatewayId":"0016c001f153a14c","uplinkId":{count + 4217106255},'
        f'"rssi":-36,"snr":10.5}}],"txInfo":{{"frequency":868100000}}}}'
    ).encode()
