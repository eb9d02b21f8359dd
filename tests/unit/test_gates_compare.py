import json
from pathlib import Path

import pytest

from benchmarks.gates import BASELINES, EXIT_UNUSABLE, Baseline, check, compare, part_counts
from benchmarks.stages import Meter, Stage

COUNTS = {"intake.commits": 1.0, "sql.insert_outcome": 1000.0, "calls.intake1.take": 60_000.0}


def counted(python: str = "3.11", **changed: float) -> Baseline:
    names = {name.replace(".", "_"): name for name in COUNTS}
    counts = COUNTS | {names.get(name, name): count for name, count in changed.items()}
    return Baseline(applications=20_000, plan="mild", seed=1, python=python, libraries={"pydantic": "2"}, counts=counts)


def verdicts(found: Baseline) -> dict[str, str]:
    return {row.name: row.verdict for row in compare(counted(), found)}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    file = tmp_path / "baselines.json"
    file.write_text(counted().model_dump_json())
    return file


def run(kept: Path, found: Baseline, *more: str) -> int:
    return check(["--baselines", str(kept), *more], lambda: found)


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


def test_more_calls_fail(kept):
    assert run(kept, counted(calls_intake1_take=62_000.0)) == 1


def test_fewer_calls_pass_and_ask_for_a_new_baseline(kept, capsys):
    assert run(kept, counted(calls_intake1_take=50_000.0)) == 0
    assert "1 counts improved; keep them with --renew" in capsys.readouterr().out


def test_one_improvement_does_not_pay_for_one_regression(kept):
    assert run(kept, counted(calls_intake1_take=50_000.0, intake_commits=2.0)) == 1


def test_a_request_more_in_the_whole_run_is_no_trend():
    assert verdicts(counted(intake_commits=1.05))["intake.commits"] == "same"


def test_a_request_more_for_every_thousand_applications_is_one():
    assert verdicts(counted(intake_commits=2.0))["intake.commits"] == "grew"


def test_a_statement_that_was_not_there_before_fails():
    assert verdicts(counted(sql_select_everything=5.0))["sql_select_everything"] == "grew"


def test_a_statement_that_is_gone_is_an_improvement():
    without = counted().model_copy(update={"counts": {"intake.commits": 1.0, "calls.intake1.take": 60_000.0}})
    assert verdicts(without)["sql.insert_outcome"] == "less"


def test_a_part_measured_for_the_first_time_does_not_fail():
    more = counted().model_copy(update={"counts": COUNTS | {"calls.new.part": 7.0}})
    assert verdicts(more)["calls.new.part"] == "new"


def test_work_that_moves_between_pieces_does_not_fail_but_their_whole_does():
    kept, found = (
        counted().model_copy(update={"counts": COUNTS | {"piece.calls.intake1.check": calls}}) for calls in (5e3, 7e3)
    )
    row = next(row for row in compare(kept, found) if "check" in row.name)
    assert (row.old, row.new, row.verdict) == (5e3, 7e3, "not gated")
    assert verdicts(counted(calls_intake1_take=70_000.0))["calls.intake1.take"] == "grew"


def test_on_another_python_calls_are_reported_and_not_gated(kept, capsys):
    assert run(kept, counted(python="3.13", calls_intake1_take=90_000.0)) == 0
    assert "not gated" in capsys.readouterr().out


def test_on_another_python_requests_are_gated_all_the_same(kept):
    assert run(kept, counted(python="3.13", intake_commits=9.0)) == 1


def test_a_renewed_baseline_is_what_the_next_check_compares_with(kept):
    worse = counted(sql_insert_outcome=2000.0)
    assert run(kept, worse, "--renew") == 0
    assert run(kept, worse) == 0
    assert run(kept, counted()) == 0


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_without_a_usable_baseline_it_says_how_to_make_one(tmp_path, content, capsys):
    file = tmp_path / "baselines.json"
    if content is not None:
        file.write_text(content)
    assert run(file, counted()) == EXIT_UNUSABLE
    assert "--renew" in capsys.readouterr().out


def test_the_json_has_every_count_and_verdict(kept, tmp_path):
    run(kept, counted(intake_commits=9.0), "--json", str(tmp_path / "out" / "gates.json"))
    found = json.loads((tmp_path / "out" / "gates.json").read_text())
    assert found["counts"]["intake.commits"] == 9.0
    assert {"name": "intake.commits", "old": 1.0, "new": 9.0, "verdict": "grew"} in found["rows"]


def test_the_kept_baseline_has_counts_of_broker_store_records_and_every_process():
    kept = Baseline.model_validate_json(BASELINES.read_bytes())
    wholes = {name.split(".")[1] for name in kept.counts if name.startswith("bytecodes.")}
    assert wholes == {"driver", "intake", "mock", "scoring", "oracle", "kernel"}
    assert {"intake.commits", "intake.fetches", "sql.statements", "bytes.applications.decided.value"} <= set(
        kept.counts
    )


def test_work_added_to_a_part_is_counted():
    def part(work) -> Stage:
        def run(meter: Meter) -> None:
            with meter:
                for number in range(100):
                    work(number)

        return Stage("part", 100, run, piece=False)

    lean, fat, looping = (part_counts([part(work)], 100) for work in (lean_work, fat_work, looping_work))
    assert fat["calls.part"] == lean["calls.part"] + 1000
    # No call more, but a loop in it.
    assert looping["calls.part"] == lean["calls.part"]
    assert looping["bytecodes.part"] > 5 * lean["bytecodes.part"]


def lean_work(number: int) -> int:
    return number + 1


def fat_work(number: int) -> int:
    return abs(number) + 1


def looping_work(number: int) -> int:
    for _ in (1, 2, 3, 4, 5, 6, 7, 8):
        number += 1
    return number
