"""Kept volumes in InfluxDB: what its way of keeping them could get wrong."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from structlog.testing import capture_logs

from storage.errors import StoreError, StoreUnavailableError
from storage.influx import InfluxSettings, open_volumes
from water import columns

pytestmark = pytest.mark.servers

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
NO_DAYS = pd.DataFrame({name: [] for name in columns.DAILY})


def hours(*volumes, first=HOUR, **shares):
    """Volumes of m1, an hour after the other."""
    return pd.DataFrame(
        {
            columns.METER_ID: pd.Series(["m1"] * len(volumes), dtype="str"),
            columns.START: pd.date_range(first, periods=len(volumes), freq="h", unit="s"),
            columns.VOLUME_M3: volumes,
            columns.MEASURED_SHARE: shares.get("measured", 1.0),
            columns.ESTIMATED_SHARE: shares.get("estimated", 0.0),
            columns.MISSING_SHARE: shares.get("missing", 0.0),
        }
    )


def open_at(server, bucket):
    settings = InfluxSettings(server.url, server.token, server.organisation, bucket)
    return open_volumes(settings)


@pytest.fixture
def kept(influxdb):
    volumes = open_at(influxdb, influxdb.make_bucket())
    yield volumes
    volumes.close()


def load(volumes):
    return volumes.load_hourly(None, HOUR, HOUR + timedelta(days=1))


def test_a_share_that_is_no_number_is_refused_and_nothing_is_saved(kept):
    with pytest.raises(StoreError, match="measured_share"):
        kept.save(hours(1.0, measured=np.nan), NO_DAYS)
    assert load(kept).empty


def test_volumes_may_change_between_whole_partial_and_unknown(kept):
    whole = hours(1.0, 2.0)
    partial = hours(0.5, 0.25, measured=0.5, estimated=0.25, missing=0.25)
    unknown = hours(np.nan, np.nan, measured=0.0, missing=1.0)
    for frame in (partial, unknown, whole, unknown, partial, whole):
        kept.save(frame, NO_DAYS)
        pd.testing.assert_frame_equal(load(kept), frame)


def test_volumes_before_the_retention_are_left_out_and_said(influxdb):
    volumes = open_at(influxdb, influxdb.make_bucket(retention_s=7 * 86_400))
    long_ago = hours(1.0, 2.0, first=HOUR - timedelta(days=60))
    with capture_logs() as said:
        volumes.save(pd.concat([long_ago, hours(3.0)]), NO_DAYS)
    assert list(load(volumes)[columns.VOLUME_M3]) == [3]
    assert [line["refused"] for line in said] == [2]
    volumes.close()


def test_a_volume_refused_for_another_reason_is_no_volume_kept(kept):
    line = f'hourly,meter_id=m2 volume_m3="a word" {int(HOUR.timestamp())}'
    kept._client.write(line.encode())
    with pytest.raises(StoreError, match=r"hourly,meter_id=m1 .*field type conflict"):
        kept.save(hours(1.0), NO_DAYS)


def test_volumes_of_every_meter_are_asked_in_spans_and_given_in_order(kept, monkeypatch):
    first = HOUR - timedelta(days=25)
    one, other = (hours(*np.arange(n) / 4, first=first) for n in (600, 400))
    other[columns.METER_ID] = "m0"
    kept.save(pd.concat([one, other]), NO_DAYS)
    asked, ask = [], kept._client.csv
    monkeypatch.setattr(kept._client, "csv", lambda script: asked.append(script) or ask(script))
    found = kept.load_hourly(None, first, first + timedelta(hours=600))
    pd.testing.assert_frame_equal(found, pd.concat([other, one], ignore_index=True))
    assert len(asked) == 3
    kept.load_daily(None, first.date(), first.date() + timedelta(days=129))
    assert len(asked) == 3 + 5


def test_saved_volumes_outlive_a_restart_of_the_server(make_influxdb):
    server = make_influxdb()
    volumes = open_at(server, server.make_bucket())
    volumes.save(hours(1.0, 2.0), NO_DAYS)
    server.stop()
    with pytest.raises(StoreUnavailableError):
        volumes.save(hours(7.0), NO_DAYS)
    server.start()
    pd.testing.assert_frame_equal(load(volumes), hours(1.0, 2.0))
    volumes.close()
