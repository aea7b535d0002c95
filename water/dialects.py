"""The names of the dialects that suppliers speak: the level of the topic after the supplier."""

from enum import StrEnum


class Dialect(StrEnum):
    """A payload dialect; ingest.decoders has one module for each."""

    JIESHUI = "jieshui"
    WMBUSMETERS = "wmbusmeters"
    CHIRPSTACK = "chirpstack"
    THETHINGSSTACK = "thethingsstack"
    ZIGBEE2MQTT = "zigbee2mqtt"
    SENML = "senml"
    CJT188 = "cjt188"
    SL651 = "sl651"
    ALINK = "alink"
    ONENET = "onenet"
    IOTDA = "iotda"
    CTWING = "ctwing"
    SPARKPLUG = "sparkplug"
    TASMOTA = "tasmota"
    JSON = "json"
