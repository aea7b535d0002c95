"""What the configuration settles with single suppliers, in the terms of ingest."""

from collections import defaultdict

from ingest.agreements import Agreements
from ingest.decoders import Decoder, mapped, sparkplug, tasmota
from ingest.signatures import Signing
from jieshui.errors import JieshuiError
from jieshui.mqtt_sections import Mqtt, MqttSignature
from jieshui.secret_files import read_secret
from water.dialects import Dialect

_KEYS = 2
_SHORTEST_KEY = 32


def make_agreements(mqtt: Mqtt) -> Agreements:
    """The decoders that the configuration describes, and the keys of signatures.

    Raises:
        JieshuiError: a file of keys is not as it should be.
    """
    mappings = defaultdict[str, list[mapped.JsonMapping]](list)
    for table in mqtt.json_:
        mappings[table.supplier].append(table.mapping())
    decoders: dict[tuple[str, str], Decoder] = {
        (supplier, Dialect.JSON.value): mapped.make_decoder(each)
        for supplier, each in mappings.items()
    }
    for table in mqtt.tasmota:
        decoders[table.supplier, Dialect.TASMOTA.value] = tasmota.make_decoder(table.counters())
    for table in mqtt.sparkplug:
        decoders[table.supplier, Dialect.SPARKPLUG.value] = sparkplug.make_decoder(table.units())
    signatures = {table.supplier: _signing(table) for table in mqtt.signatures}
    return Agreements(decoders, signatures=signatures)


def _signing(table: MqttSignature) -> Signing:
    """How a supplier's messages are signed, with the keys of its file, one a line.

    Raises:
        JieshuiError: the file can't be read, or holds no good keys.
    """
    keys = read_secret(table.key_file).split()
    if len(keys) > _KEYS or min(map(len, keys)) < _SHORTEST_KEY:
        raise JieshuiError(
            f"the file {table.key_file} should hold a key, or two while they are changed, each on "
            f"a line of its own and of {_SHORTEST_KEY} characters or more"
        )
    return Signing(tuple(key.encode() for key in keys), table.window_s, table.required)
