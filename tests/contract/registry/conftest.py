"""The registry database on SQLite and on PostgreSQL."""

import shutil

import pytest
from sqlalchemy import Engine

from storage.registry.engine import open_registry

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]


@pytest.fixture(params=BOTH)
def empty(request, tmp_path) -> Engine:
    """An open registry database without a table."""
    if request.param == "sqlite":
        engine = open_registry(f"sqlite:///{tmp_path}/deeper/registry.db")
    else:
        engine = open_registry(request.getfixturevalue("postgres_url"))
    yield engine
    engine.dispose()


@pytest.fixture(params=BOTH)
def engine(request, tmp_path) -> Engine:
    """A migrated registry database without a row."""
    if request.param == "sqlite":
        copy = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path)
        engine = open_registry(f"sqlite:///{copy}")
    else:
        engine = open_registry(request.getfixturevalue("migrated_postgres_url"))
    yield engine
    engine.dispose()
