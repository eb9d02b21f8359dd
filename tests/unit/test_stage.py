"""What a demo makes of a system that it did not start: the mock's seed and plan hold, and one log has one of each."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from paperless.cli import stage
from paperless.cli.options import System
from paperless.cli.stage import look_back, running_mock
from paperless.traffic.manifest import Manifest, ManifestError, plan_digest, write_manifest
from paperless.traffic.survey import LogSurvey
from paperless.verification.verify import VerifyError
from runtime.settings import KafkaAccess
from services.vneid_mock.plan_files import load_plan
from tests.support.cli_runs import paperless_in

URLS = dict.fromkeys(("intake", "vneid_mock", "scoring", "scoring_api"), "http://127.0.0.1:1")
SYSTEM = System(KafkaAccess(kafka_servers="127.0.0.1:1"), URLS, idempotent_producer=True)
MILD = load_plan("mild").model_dump(mode="json")
CALM = load_plan("calm").model_dump(mode="json")


def mock(seed: int = 1, plan: dict[str, Any] = MILD, changed_by_hand: int = 0) -> dict[str, Any]:
    return {"plan": plan, "seed": seed, "changed_by_hand": changed_by_hand}


@pytest.fixture
def answers(monkeypatch):
    monkeypatch.setattr(stage, "fetch", lambda url: mock(seed=5) if url.endswith("/plan") else None)


@pytest.mark.usefixtures("answers")
def test_a_demo_takes_seed_and_plan_of_the_mock():
    assert running_mock(SYSTEM, seed=None, plan=None)["seed"] == 5
    assert running_mock(SYSTEM, seed=5, plan="mild")["plan"] == MILD


@pytest.mark.usefixtures("answers")
def test_another_seed_or_plan_than_the_mock_has_is_refused():
    with pytest.raises(VerifyError, match=r"seed 5, fault plan mild; leave --seed out, or .*VNEID_SEED=7"):
        running_mock(SYSTEM, seed=7, plan=None)
    with pytest.raises(VerifyError, match=r"leave --plan out, or .*VNEID_PLAN=rough"):
        running_mock(SYSTEM, seed=None, plan="rough")


@pytest.fixture
def log(monkeypatch):
    """A log with 40 submissions and the identity `log-1`."""

    async def found(*_: object, **__: object) -> LogSurvey:
        return LogSurvey(partitions=2, start_offsets={0: 30, 1: 10}, identity="log-1")

    monkeypatch.setattr(stage, "survey", found)


def earlier(path: Path, identity: str = "log-1") -> Path:
    """The manifest of a run with seed 1 and plan mild."""
    fields: dict[str, Any] = {
        "run_id": "r", "seed": 1, "plan_name": "mild", "plan": MILD, "plan_digest": plan_digest(MILD),
        "scenario": {"name": "mine", "title_vi": "x", "sentence": "x", "days": ["2025-10-08"]}, "pace": "max",
        "days": [], "log_identity": identity, "partitions": 2, "start_offsets": {"0": 0, "1": 0}, "rules_version": 1,
        "versions": {}, "started_at": "2025-10-08T00:00:00Z",
    }  # fmt: skip
    write_manifest(Manifest.model_validate(fields), path)
    return path


@pytest.mark.usefixtures("log")
class TestALogThatHoldsSomething:
    def test_the_same_seed_and_plan_may_go_on(self, tmp_path):
        assert asyncio.run(look_back(SYSTEM, mock(), earlier(tmp_path / "m"))) == 40

    @pytest.mark.parametrize("other", [mock(seed=7), mock(plan=CALM)], ids=["seed", "plan"])
    def test_another_seed_or_plan_is_refused_with_both_named(self, tmp_path, other):
        words = (
            rf"40 submissions .* seed 1, fault plan mild; .* seed {other['seed']}, fault plan {other['plan']['name']}"
        )
        with pytest.raises(ManifestError, match=words):
            asyncio.run(look_back(SYSTEM, other, earlier(tmp_path / "m")))

    def test_a_plan_changed_by_hand_has_no_oracle_anyway(self, tmp_path):
        assert asyncio.run(look_back(SYSTEM, mock(plan=CALM, changed_by_hand=1), earlier(tmp_path / "m"))) == 40

    def test_a_manifest_of_another_log_says_nothing_about_this_one(self, tmp_path):
        assert asyncio.run(look_back(SYSTEM, mock(seed=7), earlier(tmp_path / "m", identity="log-0"))) == 40

    def test_a_log_whose_runs_are_not_known_is_taken_as_it_is(self, tmp_path):
        assert asyncio.run(look_back(SYSTEM, mock(seed=7), tmp_path / "none")) == 40


def test_the_environment_names_a_system_as_options_do(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAPERLESS_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("PAPERLESS_API", "http://127.0.0.1:1")
    monkeypatch.setenv("PAPERLESS_HEALTH", "intake=http://127.0.0.1:1 vneid_mock=http://127.0.0.1:2")
    paperless = paperless_in(monkeypatch, capsys)
    assert "http://127.0.0.1:1/rates does not answer" in paperless("rates").err
    assert "http://127.0.0.1:2/plan does not answer" in paperless("demo").err
    assert "http://127.0.0.1:2/plan does not answer" in paperless("send").err
