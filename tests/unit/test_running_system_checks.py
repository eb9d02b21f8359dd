"""What a demo makes of a system that it did not start: the mock's seed and plan hold, and one log has one of each."""

from pathlib import Path
from typing import Any

import pytest

from paperless.traffic.manifest import Manifest, ManifestError, plan_digest, write_manifest
from paperless.traffic.running_system import check_mock, earlier_submissions
from paperless.traffic.survey import LogSurvey
from paperless.verification.verify import VerifyError
from services.vneid_mock.plan_files import load_plan
from tests.support.cli_runs import paperless_in

MILD = load_plan("mild").model_dump(mode="json")
CALM = load_plan("calm").model_dump(mode="json")


def mock(seed: int = 1, plan: dict[str, Any] = MILD, changed_by_hand: int = 0) -> dict[str, Any]:
    return {"plan": plan, "seed": seed, "changed_by_hand": changed_by_hand}


def test_a_demo_takes_seed_and_plan_of_the_mock():
    check_mock(mock(seed=5), seed=None, plan=None)
    check_mock(mock(seed=5), seed=5, plan="mild")


def test_another_seed_or_plan_than_the_mock_has_is_refused():
    with pytest.raises(VerifyError, match=r"seed 5, fault plan mild; leave --seed out, or .*VNEID_SEED=7"):
        check_mock(mock(seed=5), seed=7, plan=None)
    with pytest.raises(VerifyError, match=r"leave --plan out, or .*VNEID_PLAN=rough"):
        check_mock(mock(seed=5), seed=None, plan="rough")


LOG = LogSurvey(partitions=2, start_offsets={0: 30, 1: 10}, identity="log-1")


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


class TestALogThatHoldsSomething:
    def test_the_same_seed_and_plan_may_go_on(self, tmp_path):
        assert earlier_submissions(LOG, mock(), earlier(tmp_path / "m")) == 40

    @pytest.mark.parametrize("other", [mock(seed=7), mock(plan=CALM)], ids=["seed", "plan"])
    def test_another_seed_or_plan_is_refused_with_both_named(self, tmp_path, other):
        words = (
            rf"40 submissions .* seed 1, fault plan mild; .* seed {other['seed']}, fault plan {other['plan']['name']}"
        )
        with pytest.raises(ManifestError, match=words):
            earlier_submissions(LOG, other, earlier(tmp_path / "m"))

    def test_a_plan_changed_by_hand_has_no_oracle_anyway(self, tmp_path):
        assert earlier_submissions(LOG, mock(plan=CALM, changed_by_hand=1), earlier(tmp_path / "m")) == 40

    def test_a_manifest_of_another_log_says_nothing_about_this_one(self, tmp_path):
        assert earlier_submissions(LOG, mock(seed=7), earlier(tmp_path / "m", identity="log-0")) == 40

    def test_a_log_whose_runs_are_not_known_is_taken_as_it_is(self, tmp_path):
        assert earlier_submissions(LOG, mock(seed=7), tmp_path / "none") == 40


def test_the_environment_names_a_system_as_options_do(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAPERLESS_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("PAPERLESS_API", "http://127.0.0.1:1")
    monkeypatch.setenv("PAPERLESS_HEALTH", "intake=http://127.0.0.1:1 vneid_mock=http://127.0.0.1:2")
    paperless = paperless_in(monkeypatch, capsys)
    assert "http://127.0.0.1:1/rates does not answer" in paperless("rates").err
    assert "http://127.0.0.1:2/plan does not answer" in paperless("demo").err
    assert "http://127.0.0.1:2/plan does not answer" in paperless("send").err
