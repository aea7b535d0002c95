"""The servers that the other tests are given."""

import httpx
import pytest
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from storage.registry.models import Base

pytestmark = pytest.mark.servers


def write_point(server, bucket):
    with InfluxDBClient(server.url, token=server.token, org=server.organisation) as client:
        client.write_api(write_options=SYNCHRONOUS).write(
            bucket, record="m,t=a x=1 1700000000000000000"
        )


def count_points(server, bucket):
    flux = f'from(bucket:"{bucket}") |> range(start:0) |> count()'
    with InfluxDBClient(server.url, token=server.token, org=server.organisation) as client:
        return [row.get_value() for table in client.query_api().query(flux) for row in table]


def test_buckets_of_one_name_share_nothing(influxdb):
    first, second = influxdb.make_bucket("kept"), influxdb.make_bucket("kept")
    write_point(influxdb, first)
    assert (count_points(influxdb, first), count_points(influxdb, second)) == ([1], [])


def test_an_influxdb_that_was_stopped_starts_again_with_what_it_had(make_influxdb):
    server = make_influxdb()
    bucket = server.make_bucket()
    write_point(server, bucket)
    server.stop()
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{server.url}/health")
    server.start()
    assert count_points(server, bucket) == [1]


def tables_of(url):
    engine = create_engine(url, poolclass=NullPool)
    return set(inspect(engine).get_table_names())


def test_a_migrated_database_has_every_table_and_an_empty_one_none(
    postgres_url, migrated_postgres_url
):
    assert tables_of(postgres_url) == set()
    assert tables_of(migrated_postgres_url) >= set(Base.metadata.tables)


def test_databases_share_nothing_and_are_dropped_with_who_is_connected(postgresql):
    first, second = postgresql.make_database(), postgresql.make_database()
    with create_engine(first).connect() as connection:
        connection.execute(text("CREATE TABLE only_here (id integer)"))
        connection.commit()
        assert (tables_of(first), tables_of(second)) == ({"only_here"}, set())
        postgresql.drop_database(first)
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT 1"))
    postgresql.drop_database(second)
