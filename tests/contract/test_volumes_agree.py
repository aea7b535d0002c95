"""The small form of bench/store.py: three ways to ask give one answer."""

import runpy
from pathlib import Path

import duckdb
import numpy as np
import pytest

BENCH = Path(__file__).parents[2] / "bench" / "store.py"


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(BENCH))


@pytest.fixture(scope="module")
def year(bench, tmp_path_factory):
    filled = bench["fill"](tmp_path_factory.mktemp("year"), meters=60, days=33)
    yield filled
    filled.readings.close()
    filled.volumes.close()


@pytest.mark.parametrize(
    "question", ["a month of daily volumes", "a year of night flow", "year totals"]
)
def test_readings_kept_volumes_and_bare_sql_agree(bench, year, question):
    bare, from_cold, from_kept = bench["QUESTIONS"][question]
    expected = bare(year, duckdb.connect(":memory:"))
    assert expected.size >= 60
    assert (expected > 0).all()
    np.testing.assert_allclose(from_cold(year), expected, atol=1e-6)
    np.testing.assert_allclose(from_kept(year), expected, atol=1e-6)
