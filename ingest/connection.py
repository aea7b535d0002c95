"""How a paho client of ours is made: version, login, TLS. No network."""

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.settings import MqttSettings


def make_client(settings: MqttSettings, client_id: str, *, manual_ack: bool) -> mqtt.Client:
    """A client that keeps its session at the broker, not yet connected."""
    v5 = settings.version == "5"
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if v5 else False,
        protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311,
        manual_ack=manual_ack,
    )
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.password)
    if settings.tls or settings.ca_file or settings.cert_file:
        client.tls_set(  # pyright: ignore[reportUnknownMemberType] (paho leaves cert_reqs untyped)
            ca_certs=str(settings.ca_file) if settings.ca_file else None,
            certfile=str(settings.cert_file) if settings.cert_file else None,
            keyfile=str(settings.key_file) if settings.key_file else None,
        )
    return client


def connect(client: mqtt.Client, settings: MqttSettings) -> None:
    """Open the connection and send CONNECT, asking for the session that the broker kept.

    Raises:
        OSError: the broker can't be reached (ssl.SSLError among them).
    """
    if settings.version == "5":
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = settings.session_expiry_s
        properties.ReceiveMaximum = settings.receive_maximum
        client.connect(
            settings.host,
            settings.port,
            settings.keepalive_s,
            clean_start=False,
            properties=properties,
        )
    else:
        client.connect(settings.host, settings.port, settings.keepalive_s)
