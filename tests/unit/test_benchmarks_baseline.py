from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.baseline import BASELINE, EXIT_UNUSABLE, Baseline, check, compare

COUNTS = {"intake.commits": 1.0, "sql.insert_outcome": 1000.0, "bytes.decided.value": 600.0}


def counted(**changed: float) -> Baseline:
    names = {name.replace(".", "_"): name for name in COUNTS}
    counts = COUNTS | {names.get(name, name): count for name, count in changed.items()}
    return Baseline(applications=20_000, plan="mild", seed=1, counts=counts)


def verdicts(measured: Baseline) -> dict[str, str]:
    return {change.name: change.verdict for change in compare(counted(), measured)}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    file = tmp_path / "baselines.json"
    file.write_text(counted().model_dump_json())
    return file


def run(kept: Path, measured: Baseline, *, renew: bool = False) -> int:
    return check(Console(width=120), renew=renew, path=kept, count=lambda: measured)


def test_an_unchanged_program_passes(kept, capsys):
    assert run(kept, counted()) == 0
    assert "ok: none of 3 counts grew" in capsys.readouterr().out


def test_a_statement_more_an_application_fails_and_is_named_with_both_counts(kept, capsys):
    assert run(kept, counted(sql_insert_outcome=2000.0)) == 1
    last_table = capsys.readouterr().out.rpartition("1 counts grew")[2]
    assert "sql.insert_outcome" in last_table
    assert "1,000.0" in last_table
    assert "2,000.0" in last_table
    assert "intake.commits" not in last_table


def test_more_bytes_fail(kept):
    assert run(kept, counted(bytes_decided_value=620.0)) == 1


def test_fewer_bytes_pass_and_ask_for_a_new_baseline(kept, capsys):
    assert run(kept, counted(bytes_decided_value=500.0)) == 0
    assert "1 counts improved; keep them with --renew" in capsys.readouterr().out


def test_one_improvement_does_not_pay_for_one_regression(kept):
    assert run(kept, counted(bytes_decided_value=500.0, intake_commits=2.0)) == 1


def test_a_request_more_in_the_whole_run_is_no_trend():
    assert verdicts(counted(intake_commits=1.05))["intake.commits"] == "same"


def test_a_request_more_for_every_thousand_applications_is_one():
    assert verdicts(counted(intake_commits=2.0))["intake.commits"] == "grew"


def test_a_statement_that_was_not_there_before_fails():
    assert verdicts(counted(sql_select_everything=5.0))["sql_select_everything"] == "grew"


def test_a_statement_that_is_gone_is_an_improvement():
    without = counted().model_copy(update={"counts": {"intake.commits": 1.0, "bytes.decided.value": 600.0}})
    assert verdicts(without)["sql.insert_outcome"] == "less"


def test_a_renewed_baseline_is_what_the_next_check_compares_with(kept):
    worse = counted(sql_insert_outcome=2000.0)
    assert run(kept, worse, renew=True) == 0
    assert run(kept, worse) == 0
    assert run(kept, counted()) == 0


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_without_a_usable_baseline_it_says_how_to_make_one(tmp_path, content, capsys):
    file = tmp_path / "baselines.json"
    if content is not None:
        file.write_text(content)
    assert run(file, counted()) == EXIT_UNUSABLE
    assert "--renew" in capsys.readouterr().out


def test_the_kept_baseline_has_counts_of_broker_store_and_records():
    kept = Baseline.model_validate_json(BASELINE.read_bytes())
    assert {"intake.commits", "intake.fetches", "sql.statements", "bytes.applications.decided.value"} <= set(
        kept.counts
    )
