"""The simulated suppliers over a real broker, before a platform that loses receipts."""

import hashlib
import json
import threading
import time
from collections import Counter
from datetime import datetime, timedelta

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.signatures import Signing, unwrap
from simulators.city import build_city
from simulators.errors import CityError
from simulators.publish import BrokerAddress
from simulators.run import stream
from simulators.tallies import tally_readings
from water.clock import ScaledClock, SystemClock

pytestmark = pytest.mark.servers

UNTIL = datetime.fromisoformat("2026-09-15T00:00:00+08:00")


class Platform:
    """Receives like the platform does, and answers with a receipt unless `loses` says no."""

    def __init__(self, broker, loses=None):
        self.received = Counter()
        self.messages = []
        self._loses = loses or (lambda _key, _times: False)
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda *_: self._client.subscribe("water/v1/#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect(broker.host, broker.port)

    def __enter__(self):
        self._client.loop_start()
        assert self._subscribed.wait(10)
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client, _userdata, message):
        key = hashlib.blake2b(message.payload, digest_size=8).hexdigest()
        self.received[key] += 1
        self.messages.append((message.topic, message.payload))
        supplier = message.topic.split("/")[2]
        entry = {"id": key}
        answers = [{"journalled": [key]}]
        if not self._loses(key, self.received[key]):
            answers.append({"loaded": [entry]})
        for answer in answers:
            body = json.dumps({"at": "2026-09-15T00:00:00+00:00", **answer})
            self._client.publish(f"receipts/v1/{supplier}", body, qos=1)

    def readings(self):
        """(meter or address, instant) of every good reading, as the payloads say it."""
        found = Counter()
        for topic, payload in self.messages:
            found.update(_read(topic.split("/"), payload))
        return found


def _read(levels, payload):
    dialect = levels[3]
    try:
        body = json.loads(payload)
    except ValueError:
        return []
    if dialect == "wmbusmeters":
        return [(body["id"], int(datetime.fromisoformat(body["timestamp"]).timestamp()))]
    if dialect == "chirpstack":
        address, rows = body["deviceInfo"]["devEui"], body["object"]["readings"]
    else:
        address, rows = levels[4], body.get("readings", [])
    return [(row.get("meter", address), _instant(row["at"])) for row in rows]


def _instant(at):
    return at if isinstance(at, int) else int(datetime.fromisoformat(at).timestamp())


def standing_clock(shown=UNTIL):
    return ScaledClock(SystemClock().now(), shown, 0)


def play(city, broker, tmp_path, keys=None, **options):
    options.setdefault("clock", standing_clock(city.until))
    options.setdefault("finish_at", city.until)
    options.setdefault("stop", threading.Event())
    address = BrokerAddress(broker.host, broker.port, signing_keys=keys or {})
    give_up = threading.Timer(30, options["stop"].set)  # a stream that never ends must fail
    give_up.start()
    try:
        state_path = tmp_path / "stream.json"
        return stream(city, address, state_path=state_path, resend_after_s=1, **options)
    finally:
        give_up.cancel()


@pytest.fixture(scope="module")
def city():
    return build_city(5, until=UNTIL, days=3, users=20)


def every_reading(city, until=None):
    """(address, instant) of every distinct reading of the history."""
    begin, end = int(city.history_from.timestamp()), int((until or city.until).timestamp())
    return {
        (virtual.address, at)
        for virtual in city.meters
        for at in range(begin, end + 1, virtual.meter.interval_s)
    }


def test_every_reading_before_now_arrives_and_is_counted(city, mosquitto, tmp_path):
    steps = []
    with Platform(mosquitto) as platform:
        counts = play(city, mosquitto, tmp_path, progress=lambda *step: steps.append(step))
    assert set(platform.readings()) == every_reading(city)
    assert counts.readings == len(every_reading(city))
    assert counts.readings == sum(tally_readings(city, row) for row in range(len(city.meters)))
    assert counts.messages == sum(platform.received.values()) - counts.resent
    assert steps[-1] == (counts.readings, counts.readings)


def test_a_message_is_sent_again_until_its_receipt_comes(city, mosquitto, tmp_path):
    with Platform(mosquitto, loses=lambda key, times: key < "4" and times < 3) as platform:
        counts = play(city, mosquitto, tmp_path)
    lost = {key for key in platform.received if key < "4"}
    assert lost
    assert all(platform.received[key] >= 3 for key in lost)
    assert counts.resent >= 2 * len(lost)
    assert set(platform.readings()) == every_reading(city)


def test_a_supplier_with_a_key_signs_anew_whatever_it_sends_again(city, mosquitto, tmp_path):
    signer, key = city.suppliers[0].id, "k" * 32
    with Platform(mosquitto, loses=lambda name, times: name < "1" and times < 2) as platform:
        counts = play(city, mosquitto, tmp_path, keys={signer: key})
    now_ms = int(time.time() * 1000)
    signing = Signing((key.encode(),))
    messages, platform.messages = platform.messages, []
    for topic, payload in messages:
        signed = topic.startswith(f"water/v1/{signer}/")
        said = unwrap(signing, topic, payload, now_ms) if signed else payload
        assert isinstance(said, bytes), said
        platform.messages.append((topic, said))
    assert counts.resent
    assert set(platform.readings()) == every_reading(city)


def test_a_second_start_goes_on_where_receipts_ended(city, mosquitto, tmp_path):
    half = city.history_from + timedelta(days=2)
    with Platform(mosquitto) as first:
        play(city, mosquitto, tmp_path, finish_at=half)
    with Platform(mosquitto) as second:
        play(city, mosquitto, tmp_path)
    earlier, later = set(first.readings()), set(second.readings())
    assert earlier == every_reading(city, half)
    assert later == every_reading(city) - earlier
    with Platform(mosquitto) as third:
        assert play(city, mosquitto, tmp_path).messages == 0
    assert not third.received


def test_what_was_not_receipted_before_a_stop_is_sent_by_the_next_start(city, mosquitto, tmp_path):
    stop = threading.Event()
    threading.Timer(2, stop.set).start()
    with Platform(mosquitto, loses=lambda key, _: key < "1") as first:
        play(city, mosquitto, tmp_path, stop=stop)
    with Platform(mosquitto) as second:
        play(city, mosquitto, tmp_path)
    unreceipted = {key for key in first.received if key < "1"}
    assert unreceipted
    assert unreceipted <= set(second.received)
    assert set(first.readings()) | set(second.readings()) == every_reading(city)


def test_after_the_history_readings_come_as_the_clock_goes(city, mosquitto, tmp_path):
    end = city.until + timedelta(hours=2)
    clock = ScaledClock(SystemClock().now(), city.until, 3600)
    with Platform(mosquitto) as platform:
        play(city, mosquitto, tmp_path, clock=clock, finish_at=end)
    quarterly = {virtual.address for virtual in city.meters if virtual.meter.interval_s == 900}
    newest = max(at for address, at in platform.readings() if address in quarterly)
    assert newest == end.timestamp()


def test_a_broker_that_is_away_is_tried_again(city, make_mosquitto, tmp_path):
    broker = make_mosquitto()
    counted = []
    streaming = threading.Thread(target=lambda: counted.append(play(city, broker, tmp_path)))
    streaming.start()
    time.sleep(0.5)
    broker.start()
    with Platform(broker) as platform:
        streaming.join(30)
    assert counted
    assert set(platform.readings()) == every_reading(city)


def test_the_state_of_another_city_is_refused(city, mosquitto, tmp_path):
    stop = threading.Event()
    stop.set()
    play(city, mosquitto, tmp_path, stop=stop)
    other = build_city(6, until=UNTIL, days=3, users=20)
    with pytest.raises(CityError, match="another city"):
        play(other, mosquitto, tmp_path)
