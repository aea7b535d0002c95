"""What the fast client makes of a connection over TLS, which gives a record at a time."""

import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from ingest.broker.fast_client import FastClient

FIRST = b"\x32\x07\x00\x01a\x00\x01" + b"m1"
SECOND = b"\x32\x07\x00\x01a\x00\x02" + b"m2"


class Scripted(FastClient):
    """Its socket brings these records, or raises these errors, one after the other."""

    def __init__(self, *records):
        self.taken = []
        super().__init__(self.take_all, callback_api_version=CallbackAPIVersion.VERSION2)
        self._sock = self
        self._ssl = True
        self._records = list(records)

    def take_all(self, publications):
        self.taken.append([payload for _, payload, _, _ in publications])

    def close(self):
        pass

    def _sock_recv(self, bufsize):  # noqa: ARG002 (a record is shorter than what is asked for)
        record = self._records.pop(0)
        if isinstance(record, Exception):
            raise record
        return record


def test_all_records_that_are_there_are_taken_at_once():
    client = Scripted(FIRST, SECOND[:3], SECOND[3:], BlockingIOError())
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert client.taken == [[b"m1", b"m2"]]


def test_no_record_is_no_loss():
    client = Scripted(BlockingIOError())
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert client.taken == []


@pytest.mark.parametrize("end", [b"", ConnectionResetError()], ids=["ended", "reset"])
def test_what_came_before_the_end_is_taken_and_the_end_is_met_again(end):
    client = Scripted(FIRST, end, b"")
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert client.taken == [[b"m1"]]
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_CONN_LOST
