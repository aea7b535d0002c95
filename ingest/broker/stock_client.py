"""paho's client as it is, with the two words that the receiver speaks to `FastClient`."""

from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

from ingest.broker.packets import Take
from ingest.errors import UnaskedQosError
from ingest.journal import REPEATED, RETAINED

_EXACTLY_ONCE = 0x04
"""The bit of a PUBLISH's first byte that QoS 2 sets."""


class StockClient(mqtt.Client):
    """Gives each message to `take`; acknowledges only through `acknowledge`."""

    def __init__(self, take: Take, **settings: Any) -> None:
        """`settings` are those of paho's client."""
        super().__init__(manual_ack=True, **settings)
        self._take = take
        self.on_message = self._take_message

    def acknowledge(self, packet_ids: Sequence[int]) -> MQTTErrorCode:
        """Send a PUBACK for each, in this order."""
        for packet_id in packet_ids:
            code = self.ack(packet_id, 1)
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return code
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_publish(self) -> MQTTErrorCode:
        """Refuse QoS 2 before paho promises the broker to keep it."""
        if self._in_packet["command"] & _EXACTLY_ONCE:
            raise UnaskedQosError
        return super()._handle_publish()

    def _take_message(self, *about: Any) -> None:
        message: mqtt.MQTTMessage = about[2]
        try:
            topic = message.topic.encode()
        except UnicodeDecodeError:
            topic = b""
        flags = (RETAINED if message.retain else 0) | (REPEATED if message.dup else 0)
        packet_id = message.mid if message.qos else None
        self._take([(topic, bytes(message.payload), flags, packet_id)])
