"""One application through the front door, as a user files it."""

import json
from collections.abc import Iterator

import pytest

from tests.system.compose import ROOT
from tests.system.front_door import Ended, System, running_system

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def filing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(tmp_path_factory.mktemp("filing"), "--plan", "rough") as system:
        yield system


def error_of(ended: Ended) -> str:
    assert ended.code == 2, ended
    [line] = ended.err.splitlines()
    return line


def test_one_application_is_filed_at_the_portal_and_followed_to_its_outcome(filing):
    out = filing.must("submit", "--persona", "land", "--idempotency-key", "the-first-field")
    for words in ("H'Linh Niê", "filed", "received", "asking", "answered", "decided", "partly online", "because"):
        assert words in out, words
    again = filing.must("submit", "--persona", "land", "--idempotency-key", "the-first-field")
    assert "it was filed before, and nothing was written now" in again
    vietnamese = filing.must("submit", "--persona", "land", "--idempotency-key", "the-first-field", "--lang", "vi")
    for words in ("đã nộp trước đó", "tiếp nhận", "trả lời", "một phần", "vì", "giấy tờ"):
        assert words in vietnamese, words
    other = error_of(filing.run("submit", "--persona", "birth", "--idempotency-key", "the-first-field"))
    assert "this key was used for another application" in other


def test_an_application_of_a_file_comes_back_as_json(filing, tmp_path):
    example = ROOT / "contracts/examples/applications.submitted/residence-without-level-2-account.json"
    status = json.loads(filing.must("submit", example, "--json"))
    assert (status["state"], status["decided"]["outcome"]) == ("decided", "rejected")
    assert [reason["reason"] for reason in status["decided"]["reasons"]] == [
        "no_level_2_account",
        "fee_not_paid_online",
    ]
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({**json.loads(example.read_text("utf-8")), "procedure": "9.999999"}), "utf-8")
    assert "procedure: '9.999999' is not in procedures.csv" in error_of(filing.run("submit", wrong))


def test_without_a_system_submit_says_how_to_start_one(tmp_path):
    assert "start it with `paperless up`" in error_of(System(tmp_path).run("submit", "--persona", "birth"))
