"""What the command says when it cannot do what it was asked: one clear sentence, an exit code, no traceback."""

import json
from pathlib import Path

import pytest

from paperless.cli.main import app
from paperless.local.broker_kinds import embedded_kind
from paperless.local.memory import BYTES_FOR_PROCESSES
from tests.support.cli_runs import Ended, Paperless, paperless_in
from tests.support.command_tree import commands_of

NOBODY = "127.0.0.1:1"
USAGE, EXPECTED = 2, 2


@pytest.fixture
def paperless(monkeypatch, capsys, tmp_path) -> Paperless:
    # The default state directory lies where the command is typed.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return paperless_in(monkeypatch, capsys)


def one_sentence(ended: Ended) -> str:
    """The only line on standard error."""
    assert ended.code == EXPECTED
    [line] = ended.err.splitlines()
    assert line.startswith("error: ")
    return line


def nothing_started(folder: Path) -> bool:
    return not (folder / "build" / "run" / "logs").exists()


def test_an_unknown_scenario_gets_the_near_name(paperless, tmp_path):
    line = one_sentence(paperless("demo", "--scenario", "nationl-day"))
    assert "'nationl-day' is unknown" in line
    assert "did you mean 'national-day'?" in line
    assert nothing_started(tmp_path)


def test_a_scenario_file_that_is_missing_is_named(paperless):
    assert "mine.toml: cannot be read" in one_sentence(paperless("demo", "--scenario", "./mine.toml"))


def test_a_scenario_file_with_a_typo_names_the_key(paperless, tmp_path):
    (tmp_path / "mine.toml").write_text('name = "mine"\ntitle_vi = "x"\nsentence = "x"\ndayz = []\n')
    assert "mine.toml, key days: missing" in one_sentence(paperless("demo", "--scenario", "mine.toml"))


@pytest.mark.parametrize("command", ["demo", "up"])
def test_an_unknown_plan_lists_the_plans(paperless, tmp_path, command):
    line = one_sentence(paperless(command, "--plan", "ruff"))
    assert "ruff" in line
    assert "calm, mild, rough" in line
    assert nothing_started(tmp_path)


@pytest.mark.parametrize("pace", ["slow", "0", "-3", "nan", "86401"])
def test_a_pace_that_is_none_is_a_usage_error(paperless, tmp_path, pace):
    ended = paperless("demo", f"--pace={pace}")
    assert ended.code == USAGE
    assert f"'{pace}' is no pace; use watch, max, or seconds per day" in ended.error
    assert nothing_started(tmp_path)


def test_too_many_applications_for_memory_say_how_many_fit(paperless, tmp_path):
    line = one_sentence(paperless("demo", "--applications", 2_000_000_000))
    needed = (2_000_000_000 * embedded_kind().bytes_per_application + BYTES_FOR_PROCESSES) / 1e9
    assert f"2,000,000,000 applications need about {needed:.1f} GB" in line
    assert "play at most" in line
    assert nothing_started(tmp_path)


@pytest.mark.parametrize(
    "command", [["send"], ["status"], ["verify"], ["rates"], ["why"], ["corrections"], ["topics"]], ids=" ".join
)
def test_nothing_running_says_how_to_start_it(paperless, tmp_path, command):
    line = one_sentence(paperless(*command))
    assert f"nothing is running in {tmp_path / 'build' / 'run'}" in line
    assert "start it with `paperless up`" in line


def test_down_without_a_system_is_no_error(paperless):
    ended = paperless("down")
    assert (ended.code, ended.out.strip(), ended.err) == (0, "nothing was running", "")


def test_topics_name_a_broker_that_does_not_answer(paperless):
    line = one_sentence(paperless("topics", "--kafka", NOBODY))
    assert f"no Kafka broker answers at {NOBODY}" in line
    assert "--kafka HOST:PORT" in line


def test_send_names_a_broker_that_does_not_answer(paperless, tmp_path):
    line = one_sentence(
        paperless("send", "--kafka", NOBODY, "--plan", "mild", "--seed", 1, "--applications", 10, "--manifest", "m")
    )
    assert f"broker {NOBODY}: no answer" in line
    assert not (tmp_path / "m").exists()


def test_send_without_the_mock_asks_for_plan_and_seed(paperless):
    ended = paperless("send", "--kafka", NOBODY)
    assert ended.code == USAGE
    assert "say --plan and --seed, or where the mock answers: --health vneid_mock=URL" in ended.error


def test_send_names_a_mock_that_does_not_answer(paperless):
    line = one_sentence(paperless("send", "--kafka", NOBODY, "--health", f"vneid_mock=http://{NOBODY}"))
    assert f"http://{NOBODY}/plan does not answer" in line


def test_a_health_option_without_a_name_is_a_usage_error(paperless):
    ended = paperless("send", "--kafka", NOBODY, "--health", f"http://{NOBODY}")
    assert ended.code == USAGE
    assert "write NAME=URL" in ended.error


@pytest.mark.parametrize("command", ["rates", "why"])
def test_tables_name_an_api_that_does_not_answer(paperless, command):
    line = one_sentence(paperless(command, "--api", f"http://{NOBODY}"))
    assert f"http://{NOBODY}/{command} does not answer" in line
    assert "is the system running?" in line


HEALTH = [part for name in ("intake", "vneid_mock", "scoring") for part in ("--health", f"{name}=http://{NOBODY}")]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest as a run of one day would have left it."""
    path = tmp_path / "manifest.json"
    scenario = {"name": "mine", "title_vi": "x", "sentence": "x", "days": ["2025-10-08"]}
    fields = {
        "run_id": "r", "status": "sent", "seed": 1, "plan_name": "mild", "plan": {}, "plan_digest": "x",
        "scenario": scenario, "pace": "max", "days": [], "log_identity": "log-1", "partitions": 6,
        "start_offsets": {"0": 0}, "rules_version": 1, "versions": {}, "started_at": "2025-10-08T00:00:00Z",
    }  # fmt: skip
    path.write_text(json.dumps(fields))
    return path


def test_verify_names_a_broker_that_does_not_answer(paperless, manifest):
    ended = paperless("verify", "--kafka", NOBODY, "--api", f"http://{NOBODY}", *HEALTH, "--manifest", manifest)
    assert f"broker {NOBODY}: no answer" in one_sentence(ended)


def test_verify_needs_every_consumer_to_tell_rest(paperless, manifest):
    given = ["verify", "--kafka", NOBODY, "--api", f"http://{NOBODY}", "--manifest", manifest]
    assert "where intake answers is not known; name it with --health intake=URL" in one_sentence(paperless(*given))
    assert "where scoring answers is not known" in one_sentence(paperless(*given, *HEALTH[:4]))


def test_verify_without_the_broker_asks_for_it(paperless, manifest):
    ended = paperless("verify", "--api", f"http://{NOBODY}", *HEALTH, "--manifest", manifest)
    assert "name it with --kafka HOST:PORT" in one_sentence(ended)


def test_verify_without_a_manifest_says_who_writes_one(paperless):
    ended = paperless("verify", "--kafka", NOBODY, "--manifest", "none.json")
    assert "none.json: no manifest; `paperless send` writes one" in one_sentence(ended)


def test_a_broken_manifest_names_file_and_field(paperless, manifest):
    manifest.write_text(manifest.read_text().replace('"partitions": 6', '"partitions": 0'))
    line = one_sentence(paperless("verify", "--kafka", NOBODY, "--manifest", manifest))
    assert f"{manifest}, field partitions:" in line
    manifest.write_text("{")
    assert f"{manifest}, field (whole file): Invalid JSON" in one_sentence(
        paperless("verify", "--kafka", NOBODY, "--manifest", manifest)
    )


@pytest.mark.parametrize("command", ["demo", "verify", "send"])
def test_a_json_file_that_cannot_be_written_is_told_early(paperless, tmp_path, command):
    (tmp_path / "a-file").touch()
    line = one_sentence(paperless(command, "--json", "a-file/verdict.json"))
    assert "a-file/verdict.json: cannot be written" in line
    assert "choose another --json file" in line
    assert nothing_started(tmp_path)


def test_the_result_of_an_earlier_run_does_not_survive(paperless, tmp_path):
    (tmp_path / "verdict.json").write_text('{"verdict": "ok"}')
    one_sentence(paperless("verify", "--json", "verdict.json"))
    assert (tmp_path / "verdict.json").read_text() == ""


def test_a_state_directory_that_is_a_file_is_refused(paperless, tmp_path):
    (tmp_path / "a-file").touch()
    line = one_sentence(paperless("up", "--state", "a-file"))
    assert "a-file cannot be used as the state directory" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--seed", "-1"], "--seed"),
        (["demo", "--applications", "0"], "--applications"),
        (["up", "--intake-members", "9"], "--intake-members"),
        (["topics", "--replication", "2", "--min-insync", "3"], "nothing could be written"),
        (["send", "--bogus"], "No such option: --bogus"),
        (["dmeo"], "No such command 'dmeo'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_a_usage_error(paperless, arguments, words):
    ended = paperless(*arguments)
    assert ended.code == USAGE
    assert words in ended.error


COMMANDS = ["demo", "up", "status", "down", "send", "verify", "rates", "why", "corrections", "topics", "secrets"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_shows_an_example(paperless, command):
    ended = paperless(command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"Example: paperless {command}" in ended.out


def test_help_lists_every_command(paperless):
    ended = paperless("--help")
    assert ended.code == 0
    assert all(f"│ {command} " in ended.out for command in COMMANDS)


def numeric_options() -> list[tuple[str, str, str]]:
    """Every option of a number as command (`load compare`), option and kind."""
    return [
        (" ".join(words), parameter.opts[0], parameter.type.name)
        for words, command in commands_of(app)
        for parameter in command.params
        if parameter.type.name.startswith(("integer", "float"))
    ]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300", "-1", str(2**64), "9" * 400, "x", ""])
@pytest.mark.parametrize(("command", "option", "kind"), numeric_options(), ids=lambda each: each)
def test_a_number_that_is_none_or_out_of_bounds_is_refused_by_name(paperless, command, option, kind, value):
    assert kind.endswith("range"), "it has no bounds"
    ended = paperless(*command.split(), f"{option}={value}")
    assert ended.code == USAGE
    assert option in ended.error


@pytest.mark.parametrize("url", ["x", "127.0.0.1:8104", "http://", "ftp://a", "a\nb", "httpx://a", " "])
def test_an_address_that_is_none_is_a_usage_error(paperless, url):
    for given in (["rates", "--api", url], ["send", "--kafka", NOBODY, "--health", f"vneid_mock={url}"]):
        ended = paperless(*given)
        assert ended.code == USAGE
        assert "write" in ended.error
        assert "for example" in ended.error


@pytest.mark.parametrize("pace", ["1e-300", "inf", "86401"])
def test_a_day_has_a_shortest_and_a_longest_pace(paperless, pace):
    assert "is no pace" in paperless("demo", f"--pace={pace}").error
