"""The ingest room's services, wired: the stream's, its overflow's, the door's, the imports'."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from ingest.broker.overflow import OpenService
from ingest.broker.stream import Stream
from ingest.door import Door
from ingest.history.intake import History, history_settings
from ingest.intake import Intake
from ingest.places import name_place
from ingest.ports import MeterEvents
from ingest.precedence import Precedence
from ingest.service import IngestService
from ingest.settings import IngestSettings, JournalSettings, Limits, MqttSettings, Source
from jieshui.agreements import make_agreements
from jieshui.config import Settings
from jieshui.errors import JieshuiError
from jieshui.mqtt_sections import Mqtt
from jieshui.secret_files import read_secret
from jieshui.wiring import Stores, open_readings_store
from water.policy import Policy

_BATCHES_TO_A_SERVER = 20
"""About two seconds of loading, after which other processes have their turn."""


def build_ingest(settings: Settings, stores: Stores, metrics: CollectorRegistry) -> IngestService:
    """The receiving side: MQTT → journal → readings store."""
    ingest = replace(ingest_settings(settings), mqtt=mqtt_settings(settings.mqtt))
    stream = Stream(stores.clock, _overflows(settings, stores))
    return _service(ingest, stores, settings.policy(), metrics, stream, events=stores.meter_changes)


def build_leaving(
    settings: Settings, stores: Stores, metrics: CollectorRegistry, folder: str
) -> IngestService:
    """What takes the place of a journal's folder away for good, with its overflow.

    Args:
        settings: as configured.
        stores: where what is left goes.
        metrics: shows what is done.
        folder: the name of the journal's folder; with a path only that of the store's folder.

    Raises:
        JieshuiError: no place has such a folder.
    """
    ingest = replace(
        ingest_settings(settings),
        mqtt=mqtt_settings(settings.mqtt),
        shared_group="",
        overflow_messages=0,
    )
    if ending := _ending_of(ingest.journal.folder, folder):
        ingest = name_place(ingest, ending)
    stream = Stream(stores.clock, _overflows(settings, stores), leaving=True)
    return _service(ingest, stores, settings.policy(), metrics, stream, events=stores.meter_changes)


def _ending_of(own: Path, folder: str) -> str:
    """What the name of a place's folder has after `own` and a dash: empty for `own` itself.

    Raises:
        JieshuiError: it is the folder of no place.
    """
    said = Path(folder)
    named = re.fullmatch(rf"{re.escape(own.name)}(?:-(.+))?", said.name)
    if named is None:
        raise JieshuiError(f"{folder!r} is no place: they are {own.name}, {own.name}-1 and so on")
    beside = own.with_name(said.name)
    if said.parent != Path() and said.resolve() != beside.resolve():
        raise JieshuiError(f"{folder} does not lie in the store's folder {own.parent}")
    if not (beside / "subscriptions.json").exists():
        raise JieshuiError(f"{beside} is no journal of a place that was ever subscribed")
    return named[1] or ""


def _overflows(settings: Settings, stores: Stores) -> OpenService:
    """Opens what loads an overflow: like another process with a store and metrics of its own."""

    @contextmanager
    def open_service(
        place: IngestSettings, intake: Intake, precedence: Precedence
    ) -> Generator[IngestService]:
        readings = open_readings_store(settings, stores.engine, stores.clock)
        try:
            apart, metrics = replace(stores, readings=readings), CollectorRegistry()
            yield _service(
                place, apart, settings.policy(), metrics, intake, precedence,
                events=stores.meter_changes,
            )  # fmt: skip
        finally:
            readings.close()

    return open_service


def build_door(
    settings: Settings, stores: Stores, metrics: CollectorRegistry
) -> tuple[Door, IngestService]:
    """The door for pushed readings, and what loads its journal."""
    ingest = ingest_settings(settings)
    door = Door(ingest.limits.payload_bytes)
    return door, _service(
        ingest, stores, settings.policy(), metrics, door, events=stores.meter_changes
    )


def build_import(
    settings: Settings, stores: Stores, metrics: CollectorRegistry, history: History
) -> IngestService:
    """The rows of a file; they may be as old as history may be."""
    policy = settings.policy()
    ingest = history_settings(ingest_settings(settings))
    policy = replace(policy, oldest_days=policy.history_days)
    return _service(ingest, stores, policy, metrics, history, events=None)


def _service(
    ingest: IngestSettings,
    stores: Stores,
    policy: Policy,
    metrics: CollectorRegistry,
    intake: Intake,
    precedence: Precedence | None = None,
    *,
    events: MeterEvents | None,
) -> IngestService:
    """What journals and loads what an intake brings; without `events` no meter changes."""
    return IngestService(
        ingest,
        stores.readings,
        stores.registry,
        stores.jobs,
        stores.clock,
        policy,
        metrics,
        intake,
        events,
        precedence,
    )


def ingest_settings(settings: Settings) -> IngestSettings:
    """The settings of the ingest room save the broker's: only `serve ingest` is given its files."""
    mqtt = settings.mqtt
    return IngestSettings(
        mqtt=MqttSettings(),
        journal=JournalSettings(
            folder=settings.store.folder / "journal",
            segment_bytes=settings.journal.segment_mb << 20,
            keep_days=settings.journal.keep_days,
        ),
        sources=tuple(Source(s.filter, s.dialect, s.supplier) for s in mqtt.sources),
        limits=Limits(
            payload_bytes=settings.ingest.max_payload_kb << 10,
            quarantine_quota=settings.ingest.quarantine_quota,
            batches=_BATCHES_TO_A_SERVER if settings.influx else 1,
        ),
        shared_group=settings.ingest.shared_group,
        worker=settings.ingest.worker,
        pushing=settings.api.push,
        silent_s=settings.ingest.silent_s,
        overflow_messages=settings.ingest.overflow_messages,
        agreements=make_agreements(mqtt),
    )


def mqtt_settings(mqtt: Mqtt) -> MqttSettings:
    """How to reach the broker."""
    return MqttSettings(
        host=mqtt.host,
        port=mqtt.port,
        version=mqtt.protocol,
        client_id=mqtt.client_id,
        username=mqtt.username,
        password=read_secret(mqtt.password_file) if mqtt.password_file else None,
        tls=mqtt.tls or mqtt.ca_file is not None,
        ca_file=mqtt.ca_file,
        cert_file=mqtt.certificate_file,
        key_file=mqtt.key_file,
        fast=mqtt.fast,
    )
