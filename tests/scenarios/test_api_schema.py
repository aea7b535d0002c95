"""The API keeps what its description promises, also for requests that nobody thought of."""

import contextlib
import warnings

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from starlette.exceptions import StarletteDeprecationWarning

with warnings.catch_warnings():
    warnings.simplefilter("ignore", StarletteDeprecationWarning)  # httpx2 is not used here
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
QUICKLY = settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(
    ("mode", "examples"), [(GenerationMode.POSITIVE, 3), (GenerationMode.NEGATIVE, 1)], ids=str
)
def test_no_request_brings_a_500_or_an_answer_that_is_not_described(
    open_api_city, door, mode, examples
):
    city = open_api_city(door=door, attempts_per_login=10_000, attempts_per_address=10_000)
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", city.app)
    headers = {"X-API-Key": city.keys["administrator"]}
    answered = set()

    def ask(case):
        answer = case.call_and_validate(headers=headers, checks=CHECKS)
        answered.add((case.method, case.path, answer.status_code))

    for found in schema.get_all_operations():
        # Some operations take nothing that could be wrong.
        with contextlib.suppress(Unsatisfiable):
            few = settings(QUICKLY, max_examples=examples)
            few(given(found.ok().as_strategy(mode))(ask))()

    assert len({path for _method, path, _status in answered}) > 20
    wanted = 200 if mode is GenerationMode.POSITIVE else 422
    assert ("GET", "/api/v1/users", wanted) in answered
