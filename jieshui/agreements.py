"""What the configuration settles with single suppliers, in the terms of ingest."""

from collections import defaultdict

from ingest.agreements import Agreements
from ingest.decoders import Decoder, mapped, tasmota
from jieshui.mqtt_sections import Mqtt
from water.dialects import Dialect


def make_agreements(mqtt: Mqtt) -> Agreements:
    """The decoders of dialects that need a configuration."""
    mappings = defaultdict[str, list[mapped.JsonMapping]](list)
    for table in mqtt.json_:
        mappings[table.supplier].append(table.mapping())
    decoders: dict[tuple[str, str], Decoder] = {
        (supplier, Dialect.JSON.value): mapped.make_decoder(each)
        for supplier, each in mappings.items()
    }
    for table in mqtt.tasmota:
        decoders[table.supplier, Dialect.TASMOTA.value] = tasmota.make_decoder(table.counters())
    return Agreements(decoders)
