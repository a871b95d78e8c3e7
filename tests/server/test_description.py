"""Every answer is held against `/openapi.json`: to requests that keep to it, and that break it."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi import checks

from qwen3_tts_edge.server.protocols import openai_speech
from server.serving import Served

EXAMPLES = 20
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
    checks.allow_header_conformance,
]
"""All that one request can show, but `positive_data_acceptance`: which voices, models and languages
there are the description does not know."""


@pytest.fixture(params=["served", "cloning"])
def described(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The description, of a server that says no more than two frames of any text."""
    served: Served = request.getfixturevalue(request.param)
    monkeypatch.setattr(openai_speech, "_seconds", lambda *_: 0.16)
    yield schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    served.settle()


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_every_answer_is_as_described(described: Any, mode: str) -> None:
    kind = schemathesis.GenerationMode(mode)
    seen = set()
    for found in described.get_all_operations():
        operation = found.ok()
        if mode == "positive" or operation.body:  # any path is a string
            _hold(operation.as_strategy(generation_mode=kind))
            seen.add(f"{operation.method.upper()} {operation.path}")
    assert {"POST /v1/audio/speech", "POST /v1/audio/voices"} <= seen


def _hold(cases: Any) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def holds(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    holds()
