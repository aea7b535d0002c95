"""Where the tests look for real servers."""

import gc
import warnings
from pathlib import Path

import pytest
from real_servers import find_docker


def test_a_docker_engine_that_is_away_leaves_no_open_socket_for_a_later_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/away.sock")
    gc.collect()

    assert find_docker() is None

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
