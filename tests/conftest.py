"""What every kind of test shares: how a missing part is said."""

import os
from typing import NoReturn

import pytest


def _missing(what: str) -> NoReturn:
    if os.environ.get("JIESHUI_NO_SKIP"):
        pytest.fail(f"{what}, and nothing may be skipped here (JIESHUI_NO_SKIP)")
    pytest.skip(what)


@pytest.fixture(scope="session")
def missing():
    """Call with what is missing and how to get it: skips, or fails where skips are forbidden."""
    return _missing
