"""The file of figures, and the command that writes it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks.commands import CommandError, module, run_command
from benchmarks.results import Figure, ResultFileError, Run, load, merged, rounded, save
from benchmarks.suite import Benchmark, Figures, Options

RUN = Run("python -m benchmarks run", datetime(2026, 1, 2, tzinfo=UTC), 12.34)


def test_a_key_holds_the_number_and_its_details_the_rest():
    result = merged({}, {"hop_vs_quix": Figure([1.5, 1.2345678, 1.9], None, {"cpu_ratio": 1.1})}, RUN)
    assert result["hop_vs_quix"] == 1.5
    assert result["details"]["hop_vs_quix"] == {
        "figure": 1.5,
        "spread": [1.235, 1.9],
        "rounds": [1.5, 1.235, 1.9],
        "goal": "≥ 1.3",
        "met": True,
        "plan": None,
        "command": "python -m benchmarks run",
        "at": "2026-01-02T00:00:00+00:00",
        "seconds": 12.3,
        "cpu_ratio": 1.1,
    }
    assert result["machine"]["cores"] >= 1
    assert {"python", "aiokafka", "confluent-kafka"} <= set(result["versions"])


def test_a_run_of_some_keys_leaves_the_others():
    old = merged({}, {"flow_per_s": Figure([9_000.0], "mild", {}), "oracle_per_s": Figure([1.0], "mild", {})}, RUN)
    new = merged(old, {"oracle_per_s": Figure([25_000.0], "mild", {})}, RUN)
    assert (new["flow_per_s"], new["oracle_per_s"]) == (9_000.0, 25_000.0)
    assert (new["details"]["flow_per_s"]["met"], new["details"]["oracle_per_s"]["met"]) == (False, True)


def test_a_figure_without_a_goal_is_only_in_the_details():
    result = merged({}, {"hop_vs_faststream_batch": Figure([3.0], None, {})}, RUN)
    assert "hop_vs_faststream_batch" not in result
    assert result["details"]["hop_vs_faststream_batch"]["met"] is None


def test_digits_that_nobody_can_repeat_are_left_out():
    assert [rounded(value) for value in (12_345.6, 0.987654, 3.0)] == [12_350.0, 0.9877, 3.0]


def test_a_file_is_read_as_it_was_written(tmp_path: Path):
    path = tmp_path / "bench" / "result.json"
    assert load(path) == {}
    save(path, {"flow_per_s": 1.0, "details": {}})
    assert load(path) == {"flow_per_s": 1.0, "details": {}}


@pytest.mark.parametrize("text", ["", "[]", '{"details": 1}'])
def test_another_file_is_not_overwritten(tmp_path: Path, text: str):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ResultFileError, match="remove it, or name another file with --json"):
        load(path)


def test_a_command_that_fails_is_told_with_its_last_words():
    with pytest.raises(CommandError, match=r"no.such.module ended with 1:(?s:.)*No module named"):
        run_command(module("no.such.module"))


def benchmark(key: str, figures: Figures | CommandError) -> Benchmark:
    def measure(options: Options, keys: Sequence[str]) -> Figures:
        if isinstance(figures, CommandError):
            raise figures
        return figures

    return Benchmark(keys={key: "a test's"}, minutes=0, measure=measure)


def run(path: Path, *suite: Benchmark) -> tuple[bool, list[str]]:
    told: list[str] = []
    options = Options(rounds=1, quick=True, tell=told.append)
    return command.measure([(one, tuple(one.keys)) for one in suite], options, path), told


def rows(path: Path, *keys: str) -> dict[str, list[str]]:
    """Return the printed table: the cells of each key's row."""
    console = Console(width=200)
    with console.capture() as captured:
        console.print(command.table_of(load(path), keys))
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in captured.get().splitlines() if "│" in line]
    return {row[0]: row[1:] for row in cells}


def test_a_goal_missed_is_reported_and_no_failure(tmp_path: Path):
    path = tmp_path / "r.json"
    complete, _ = run(path, benchmark("flow_per_s", {"flow_per_s": Figure([9_000.0, 8_000.0], "mild", {})}))
    assert complete
    assert rows(path, "flow_per_s", "oracle_per_s") == {
        "flow_per_s": ["8,500", "8,000 to 9,000", "2", "≥ 12,000, stretch 15,000", "no"],
        "oracle_per_s": ["not measured", "", "", "≥ 25,000, stretch 40,000", ""],
    }


def test_what_was_measured_is_kept_when_the_next_one_fails(tmp_path: Path):
    path = tmp_path / "r.json"
    complete, told = run(
        path,
        benchmark("oracle_per_s", {"oracle_per_s": Figure([30_000.0], "mild", {})}),
        benchmark("flow_per_s", CommandError("the verdict is not ok")),
    )
    assert not complete
    assert "not measured: the verdict is not ok" in told
    assert json.loads(path.read_text())["oracle_per_s"] == 30_000.0


def test_the_list_names_every_key_and_measures_nothing(tmp_path: Path):
    path = tmp_path / "r.json"
    result = CliRunner().invoke(command.app, ["run", "--list", "--json", str(path)])
    assert result.exit_code == 0
    assert "flow_kafka_postgres_per_s" in result.output
    assert not path.exists()


@pytest.mark.parametrize("arguments", [["run", "--help"], ["check", "--help"]])
def test_help_shows_how_it_is_called(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    result = CliRunner().invoke(command.app, arguments)
    assert result.exit_code == 0
    assert "python -m benchmarks" in result.output + capsys.readouterr().out


def test_an_unknown_key_ends_before_anything_is_measured(tmp_path: Path):
    result = CliRunner().invoke(command.app, ["run", "hop_vs_x", "--json", str(tmp_path / "r.json")])
    assert result.exit_code == 2
    assert "hop_vs_x" in result.output
