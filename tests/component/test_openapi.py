"""The OpenAPI documents, held against what the services answer: schemathesis asks what they allow, and more."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from pydantic import SecretStr
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from schemathesis.engine.recorder import ScenarioRecorder

from runtime.http_guard import token_digests
from services.scoring.api.app import create_app
from services.scoring.store.reader import StoreReader
from services.scoring.store.store import Store
from services.vneid_mock.control import PlanState, control_app
from services.vneid_mock.plan_files import load_plan
from tests.support.fakes_portal import FakeLog, portal_on
from tests.support.scoring_examples import as_log, decided

TOKEN = "a-token-of-the-operator"
BEARER = {"authorization": f"Bearer {TOKEN}"}
# What schemathesis calls its host.
HOST = "testserver"
# What the administrative facts say beyond the contract, and that an id or a key names one application only.
BEYOND_CONTRACT = {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]}}
# That shares sum up to 1 at most, and that an override fits the plan around it, JSON Schema cannot say.
BEYOND_SCHEMA = {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "422"]}}
CONFIG = {
    "auth": {"openapi": {"HTTPBearer": {"bearer": TOKEN}}},
    # Who follows what was just filed would wait for an outcome that nobody decides here.
    "phases": {"stateful": {"enabled": False}},
    "generation": {"max-examples": 10, "deterministic": True},
    "operations": [
        {"include-path": "/plan", "include-method": ["PUT", "PATCH"], "checks": BEYOND_SCHEMA},
        {"include-path": "/applications", "include-method": "POST", "checks": BEYOND_CONTRACT},
    ],
}


def scoring_with_tokens(folder: Path) -> Any:
    url = f"sqlite:///{folder}/scoring.db"
    with Store(url) as store:
        store.apply(as_log([decided(number) for number in range(1, 5)]))
    tokens = token_digests("ANY", HOST, SecretStr(TOKEN), open_to_all=False)
    # Who follows the store would follow it for ever.
    return create_app(StoreReader(url), tokens=tokens, per_minute=1_000_000, allowed_hosts=HOST, stopping=lambda: True)


def open_control(_: Path) -> Any:
    return control_app(PlanState(load_plan("mild"), seed=7), per_minute=1_000_000)


def open_portal(_: Path) -> Any:
    return portal_on(FakeLog(), allowed_hosts=HOST)


def failures_of(recorder: ScenarioRecorder) -> list[str]:
    return [
        f"{recorder.cases[case].value.as_curl_command()}: {check.failure_info and check.failure_info.failure}"
        for case, checks in recorder.checks.items()
        for check in checks
        if check.status is Status.FAILURE
    ]


@pytest.mark.slow(reason="asks some hundred times, and makes up what to ask")
@pytest.mark.parametrize("build", [scoring_with_tokens, open_control, open_portal])
def test_schemathesis_finds_nothing(build, tmp_path):
    config = SchemathesisConfig.from_dict(CONFIG)
    schema = schemathesis.openapi.from_asgi("/openapi.json", build(tmp_path), config=config, headers=BEARER)
    asked: Counter[str] = Counter()
    for event in from_schema(schema).execute():
        assert not isinstance(event, FatalError | NonFatalError), event
        if isinstance(event, ScenarioFinished):
            asked[event.recorder.label] += len(event.recorder.cases)
            assert failures_of(event.recorder) == []
    described = {
        f"{method.upper()} {path}" for path, methods in schema.raw_schema["paths"].items() for method in methods
    }
    assert set(asked) == described
    assert sum(asked.values()) > 400
