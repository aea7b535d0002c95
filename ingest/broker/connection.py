"""How a client of ours is made (version, login, TLS) and connects."""

from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.broker.fast_client import FastClient
from ingest.broker.packets import Take
from ingest.broker.stock_client import StockClient
from ingest.settings import MqttSettings

ReceivingClient = FastClient | StockClient


def make_client(settings: MqttSettings, client_id: str) -> mqtt.Client:
    """A client that keeps its session at the broker, not yet connected."""
    client = mqtt.Client(**_describe(settings, client_id))
    _secure(client, settings)
    return client


def make_receiving_client(settings: MqttSettings, take: Take) -> ReceivingClient:
    """Such a client that gives what comes to `take` and acknowledges when it is told to."""
    kind = FastClient if settings.fast else StockClient
    client = kind(take, **_describe(settings, settings.client_id))
    _secure(client, settings)
    return client


def _describe(settings: MqttSettings, client_id: str) -> dict[str, Any]:
    v5 = settings.version == "5"
    return {
        "callback_api_version": CallbackAPIVersion.VERSION2,
        "client_id": client_id,
        "clean_session": None if v5 else False,
        "protocol": mqtt.MQTTv5 if v5 else mqtt.MQTTv311,
    }


def _secure(client: mqtt.Client, settings: MqttSettings) -> None:
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.password)
    if settings.tls or settings.ca_file or settings.cert_file:
        client.tls_set(  # pyright: ignore[reportUnknownMemberType] (paho leaves cert_reqs untyped)
            ca_certs=str(settings.ca_file) if settings.ca_file else None,
            certfile=str(settings.cert_file) if settings.cert_file else None,
            keyfile=str(settings.key_file) if settings.key_file else None,
        )


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
