import pytest

from ingest.errors import SettingsError
from ingest.settings import JournalSettings, Limits, MqttSettings, Source
from jieshui.config import Settings
from jieshui.ingest_wiring import ingest_settings, mqtt_settings

BROKEN = [
    ("version", lambda _: MqttSettings(version="3"), "3.1.1 or 5"),
    ("port", lambda _: MqttSettings(port=0), "port is 0"),
    ("no client id", lambda _: MqttSettings(client_id=""), "client_id"),
    ("client id with a slash", lambda _: MqttSettings(client_id="a/b"), "client_id 'a/b'"),
    ("no such file", lambda folder: MqttSettings(ca_file=folder / "ca.pem"), "no such file"),
    ("receive maximum", lambda _: MqttSettings(receive_maximum=65_536), "1 to 65535"),
    ("empty group", lambda folder: JournalSettings(folder, group_messages=0), "group_messages"),
    ("half a day", lambda folder: JournalSettings(folder, keep_days=0.5), "0.5: 1 or more"),
    ("no limit", lambda _: Limits(payload_bytes=0), "payload_bytes is 0"),
    ("# in the middle", lambda _: Source("a/#/b", "wmbusmeters", "north"), "'a/#/b'"),
    ("+ in a word", lambda _: Source("a+/b", "wmbusmeters", "north"), "'a+/b'"),
]


@pytest.mark.parametrize(("_", "make", "said"), BROKEN, ids=[row[0] for row in BROKEN])
def test_a_broken_setting_is_refused_and_named(_, make, said, tmp_path):
    with pytest.raises(SettingsError) as caught:
        make(tmp_path)
    assert said in str(caught.value)


def test_the_password_is_never_shown():
    assert "secret" not in repr(MqttSettings(username="north", password="secret"))


def test_what_the_configuration_says_of_workers_and_reading_reaches_ingest():
    said = Settings.model_validate(
        {"ingest": {"shared_group": "city", "worker": "a"}, "mqtt": {"fast": False}}
    )
    made = ingest_settings(said)
    assert (made.shared_group, made.worker) == ("city", "a")
    assert not mqtt_settings(said.mqtt).fast
