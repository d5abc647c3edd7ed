"""What the API says of itself is what it does: schemathesis asks in every way the document allows,
and in ways that it does not.

Its own run is short and always the same; ``python -m benchmarks fuzz --minutes 60`` goes on.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.fuzzing import Findings, Target, fuzz, fuzz_paths, fuzzed_target

from bidwitness.api.app import create_app
from bidwitness.api.openapi import PROBLEM
from bidwitness.config import load_settings

# So many cases of each operation; it takes about half a minute.
CASES = 3


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with fuzzed_target(tmp_path_factory.mktemp("openapi"), FakeClock()) as target:
        yield target


def test_no_server_error_and_no_undocumented_answer(target: Target) -> None:
    findings = Findings()
    fuzz(target, findings, cases=CASES, seed=1)
    assert findings.listed() == []
    assert findings.asked > 400
    assert findings.operations > 90


def test_nothing_breaks_out_and_no_token_that_is_none_lets_in(target: Target) -> None:
    """What breaks out elsewhere, in paths, queries, bodies and tokens: see ``HOSTILE``."""
    findings = Findings()
    fuzz_paths(target, findings, cases=600, seed=1)
    assert findings.listed() == []
    assert findings.asked > 400
    assert findings.statuses[401] > 50


def test_every_operation_names_its_errors(tmp_path: Path) -> None:
    app = create_app(load_settings(data=tmp_path, database="sqlite://"))
    document = app.openapi()
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = operation["responses"]
            assert {"403", "422", "503"} <= set(answers), (method, path)
            for status, answer in answers.items():
                if int(status) >= 400:
                    reference = answer["content"][PROBLEM]["schema"]["$ref"]
                    assert reference.rsplit("/", 1)[1] in schemas
                elif status != "204":
                    assert answer["content"], (method, path, status)
