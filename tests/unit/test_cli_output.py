"""What a person reads of a verdict, and the same as JSON."""

from dataclasses import replace

import pytest

from paperless.cli.options import System, find_system, seconds_per_day
from paperless.cli.output import agreement, clear_json, print_verdict, verdict_json, write_json
from paperless.cli.rate_tables import percent
from paperless.cli.terminal import open_terminal
from paperless.language import texts
from paperless.traffic.manifest import ManifestError
from paperless.verification.checkers import Verdict
from paperless.verification.corrections import CorrectionCount
from paperless.verification.positions import RefusedRecord
from paperless.verification.verify import VerifyError
from runtime.settings import KafkaAccess
from services.scoring.rates.rates import Rate

FINE = Verdict(
    submitted=1_206, decided=1_200, dead_lettered=3, lost=0, counted_twice=0, moved=4, replayed=2, dropped=1,
    re_delivered=17, presumed=2, overruled=1, conflicts=0, live_equals_recount=True, recount_equals_oracle=True,
    corrections=CorrectionCount(90, 4), dead_letters={"applications.submitted: not_json": 3},
    settled={"applications.submitted: repaired": 2},
    open_dead_letters=(
        RefusedRecord("applications.submitted", 1, 7, "not_json", "0199bf9f-4fe8-7999-8999-999999999999"),
        RefusedRecord("applications.submitted", 0, 8, "not_json", None, "begun"),
    ),
)  # fmt: skip
BROKER = KafkaAccess(kafka_servers="127.0.0.1:9092")
LONG = "live and recount: cell " + "pattern " * 60 + "n 1 != 2"


def test_a_good_verdict_is_followed_by_every_count(capsys):
    print_verdict(open_terminal("en"), FINE)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "verdict: ok",
        "submitted 1,206",
        "decided 1,200",
        "dead-lettered 3",
        "lost 0",
        "counted twice 0",
        "moved 4",
        "replayed 2",
        "dropped 1",
        "re-delivered 17",
        "presumed 2",
        "overruled 1",
        "conflicts 0",
        "corrections 90",
        "lost of them 0",
        "wrong of them 0",
        "live = recount = oracle",
        "settled 2 applications.submitted: repaired",
        "dead letters 3 applications.submitted: not_json",
        "applications.submitted/1/7 not_json, application 0199bf9f-4fe8-7999-8999-999999999999",
        "applications.submitted/0/8 not_json, settlement not finished",
        "and 1 more: paperless dlq list",
    ]


def test_each_difference_stays_on_one_line(capsys):
    wrong = replace(FINE, live_equals_recount=False, differences=(LONG, "application [x]: lost"))
    print_verdict(open_terminal("en"), wrong)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "verdict: NOT OK"
    assert lines[-2:] == [f"  - {LONG}", "  - application [x]: lost"]


@pytest.mark.parametrize(
    ("live", "oracle", "words", "ok"),
    [
        (True, True, "live = recount = oracle", True),
        (False, True, "live ≠ recount = oracle", False),
        (True, False, "live = recount ≠ oracle", False),
        (True, None, "live = recount (the plan was changed by hand: no oracle)", True),
        (False, None, "live ≠ recount (the plan was changed by hand: no oracle)", False),
    ],
)
def test_the_readings_are_compared_in_one_line(live, oracle, words, ok):
    verdict = replace(FINE, live_equals_recount=live, recount_equals_oracle=oracle)
    assert (agreement(texts("en"), verdict), verdict.ok) == (words, ok)


@pytest.mark.parametrize("wrong", [{"lost": 1}, {"counted_twice": 1}, {"differences": ("x",)}], ids=str)
def test_any_single_fault_spoils_the_verdict(wrong):
    verdict = replace(FINE, **wrong)
    assert not verdict.ok
    assert verdict_json(verdict)["verdict"] == "not ok"


def test_json_has_the_counts_under_their_names():
    found = verdict_json(FINE)
    assert found["verdict"] == "ok"
    assert found["counts"]["re_delivered"] == 17
    assert list(found["counts"])[:5] == ["submitted", "decided", "dead_lettered", "lost", "counted_twice"]
    assert found["dead_letters"] == {"applications.submitted: not_json": 3}
    assert found["settled"] == {"applications.submitted: repaired": 2}
    assert found["open_dead_letters"][0] == {
        "position": "applications.submitted/1/7",
        "reason": "not_json",
        "application_id": "0199bf9f-4fe8-7999-8999-999999999999",
        "state": "open",
    }


def test_a_result_is_written_into_a_new_folder(tmp_path):
    path = tmp_path / "new" / "verdict.json"
    write_json(path, {"tên": "Hà Nội"})
    assert path.read_text(encoding="utf-8") == '{\n  "tên": "Hà Nội"\n}\n'
    clear_json(path)
    assert path.read_text() == ""


def test_a_result_that_cannot_be_written_names_the_file(tmp_path):
    (tmp_path / "file").touch()
    for write in (clear_json, lambda path: write_json(path, {})):
        with pytest.raises(ManifestError, match=r"file/v\.json: cannot be written .*choose another --json file"):
            write(tmp_path / "file" / "v.json")


def test_a_rate_of_nothing_is_a_dash():
    for language, written in (("en", "12.50 %"), ("vi", "12,50 %")):
        assert percent(texts(language), Rate(0, 0, None)) == "–"
        assert percent(texts(language), Rate(1, 8, 0.125)) == written


def test_paces_are_words_or_seconds():
    assert (seconds_per_day("max"), seconds_per_day("watch"), seconds_per_day("2.5")) == (None, 30.0, 2.5)


def test_addresses_make_a_system_without_a_state_directory(tmp_path):
    health = [f"{name}=http://127.0.0.1:{port}/" for port, name in enumerate(("intake", "vneid_mock", "scoring"), 1)]
    system = find_system(tmp_path, "127.0.0.1:9092", "http://127.0.0.1:8104/", health)
    assert system.idempotent_producer
    assert system.target.api_url == "http://127.0.0.1:8104"
    assert system.target.health_urls == {
        "intake": "http://127.0.0.1:1", "vneid_mock": "http://127.0.0.1:2", "scoring": "http://127.0.0.1:3",
    }  # fmt: skip


def test_members_of_intake_count_as_intake():
    endpoints = dict.fromkeys(("intake_2", "vneid_mock", "scoring", "scoring_api"), "http://127.0.0.1:1")
    assert "intake_2" in System(BROKER, endpoints, idempotent_producer=True).target.health_urls


def test_only_consumers_are_waited_for():
    endpoints = dict.fromkeys(
        ("portal", "intake", "vneid_mock", "scoring", "scoring_api", "planner"), "http://127.0.0.1:1"
    )
    target = System(BROKER, endpoints, idempotent_producer=True).target
    assert list(target.health_urls) == ["intake", "vneid_mock", "scoring"]


def test_the_scoring_api_does_not_stand_for_scoring():
    endpoints = dict.fromkeys(("intake", "vneid_mock", "scoring_api"), "http://127.0.0.1:1")
    with pytest.raises(VerifyError, match="where scoring answers is not known"):
        _ = System(BROKER, endpoints, idempotent_producer=True).target
