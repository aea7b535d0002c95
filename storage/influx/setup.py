# pyright: standard
# influxdb_client types little of what it gives: strict rules have nothing to hold on to.
"""Making the bucket, and saying early what is wrong with the settings."""

import structlog
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules

from storage.errors import StoreError, StoreUnavailableError
from storage.influx import flux
from storage.influx.client import InfluxClient
from storage.influx.settings import InfluxSettings

log = structlog.get_logger()

_DAY_S = 86_400


def prepare(settings: InfluxSettings) -> None:
    """Make the bucket where it is missing; one that is there stays as it is.

    Raises:
        StoreError: the organisation or the token is wrong, or the token may not make buckets.
        StoreUnavailableError: the server is away.
    """
    client = InfluxClient(settings)
    try:
        buckets = client.client.buckets_api()
        bucket = client.call(lambda: buckets.find_bucket_by_name(settings.bucket))
        if bucket is None:
            _make_bucket(client)
        else:
            _compare_retention(settings, bucket.retention_rules)
        _ask(client)
    finally:
        client.close()


def _make_bucket(client: InfluxClient) -> None:
    settings = client.settings
    organisations = client.client.organizations_api()
    found = client.call(lambda: organisations.find_organizations(org=settings.organisation))
    if not found:
        raise StoreError(
            f"influx.organisation: {settings.url} shows this token no organisation "
            f"{settings.organisation!r}"
        )
    rules = []
    if settings.retention_days:
        seconds = settings.retention_days * _DAY_S
        rules = [BucketRetentionRules(type="expire", every_seconds=seconds)]
    client.call(
        lambda: client.client.buckets_api().create_bucket(
            bucket_name=settings.bucket, org=found[0], retention_rules=rules
        )
    )


def _compare_retention(settings: InfluxSettings, rules: list[BucketRetentionRules]) -> None:
    kept_s = (rules[0].every_seconds if rules else 0) or 0
    if kept_s != settings.retention_days * _DAY_S:
        log.warning(
            "the bucket keeps another time than influx.retention_days says; it stays as it is",
            bucket=settings.bucket,
            bucket_days=kept_s / _DAY_S,
            retention_days=settings.retention_days,
        )


def verify(client: InfluxClient) -> None:
    """See whether the bucket may be read; a server that is merely away is no reason to fail.

    Raises:
        StoreError: naming the setting that is wrong.
    """
    try:
        _ask(client)
    except StoreUnavailableError as error:
        log.warning("InfluxDB is away, going on without it for now", error=str(error))


def _ask(client: InfluxClient) -> None:
    client.csv(flux.select(client.settings.bucket, 0, 1))
