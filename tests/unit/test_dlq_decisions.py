"""What may be done about a dead letter, and what is refused before anything is written."""

import json
from dataclasses import replace
from typing import Any

import pytest

from contracts.records import partition_of
from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED, DOCUMENTS_REQUESTED
from paperless.dead_letters.decisions import drop, repair, repaired_values, replay
from paperless.dead_letters.errors import DeadLetterError
from paperless.dead_letters.letters import Selection, Summary, checked_position, counts, summary
from paperless.verification.positions import LoggedRecord
from runtime.dead_letters import DeadLetter, LeftOut
from runtime.settlements import Settlement
from tests.support.checkers_world import PARTITIONS, outcome_of, submissions

KEY, VALUE = submissions()[3]
HOME = partition_of(KEY, PARTITIONS)
OUTCOME = outcome_of(LoggedRecord(HOME, 0, KEY, VALUE))
POSITION = f"{APPLICATIONS_SUBMITTED.name}/{HOME}/41"
LETTER = DeadLetter(
    topic=APPLICATIONS_SUBMITTED.name,
    partition=HOME,
    offset=41,
    reason="breaks_contract",
    detail="account_level: Input should be a valid integer",
    key=KEY,
    value=VALUE,
    headers=(),
    value_left_out=None,
    key_left_out=False,
    sent_at_ms=1,
    refused_at_ms=2,
)
BEGUN = Settlement(position=POSITION, action="repair", attempt=1, key=KEY, value=VALUE, offset=5)


def with_change(**changes: Any) -> bytes:
    return json.dumps(json.loads(VALUE) | changes).encode()


def test_a_repair_that_would_be_taken_goes_under_its_applications_key_to_its_partition():
    misplaced = replace(LETTER, key=b"any", partition=1 - HOME)
    decision = repair(misplaced, None, [VALUE], PARTITIONS)
    assert (decision.settlement.key, decision.partition, decision.settlement.attempt) == (KEY, HOME, 1)


@pytest.mark.parametrize(
    ("broken", "assignment", "field", "value"),
    [
        ({"account_level": "2"}, "account_level=2", "account_level", 2),
        ({"home_province": "99"}, "home_province=79", "home_province", "79"),
        ({"assisted": None}, "assisted=false", "assisted", False),
    ],
)
def test_a_change_is_taken_as_the_contract_wants_it(broken: dict[str, Any], assignment: str, field: str, value: Any):
    letter = replace(LETTER, value=with_change(**broken))
    decision = repair(letter, None, repaired_values(letter, [assignment]), PARTITIONS)
    assert json.loads(decision.settlement.value or b"")[field] == value


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([b"{"], "not_json"),
        ([with_change(home_province=98), with_change(home_province="98")], "unknown_province: home_province: '98'"),
        (
            [with_change(account_level=9), with_change(account_level="9")],
            "breaks_contract: account_level: .* equal to 2",
        ),
        ([with_change(authority="ministry", procedure="1.001193")], "wrong_authority"),
    ],
)
def test_what_would_be_refused_again_is_not_written(values: list[bytes], why: str):
    with pytest.raises(DeadLetterError, match=rf"{POSITION}: would be refused again \({why}"):
        repair(LETTER, None, values, PARTITIONS)


def test_outcomes_and_requests_are_checked_as_their_consumers_do():
    outcome = replace(LETTER, topic=APPLICATIONS_DECIDED.name)
    assert repair(outcome, None, [OUTCOME], PARTITIONS).settlement.value == OUTCOME
    with pytest.raises(DeadLetterError, match="unknown_province"):
        repair(outcome, None, [_other(OUTCOME)], PARTITIONS)
    request = replace(LETTER, topic=DOCUMENTS_REQUESTED.name)
    with pytest.raises(DeadLetterError, match="breaks_contract"):
        repair(request, None, [VALUE], PARTITIONS)


def _other(outcome: bytes) -> bytes:
    return json.dumps(json.loads(outcome) | {"province": "98"}).encode()


def test_a_value_that_is_no_document_asks_for_a_file():
    for value, left_out, why in (
        (b"{", None, "no JSON document"),
        (None, LeftOut(1_200_000, "0" * 32), "1,200,000 bytes, was too large"),
        (None, None, "has no value"),
    ):
        letter = replace(LETTER, value=value, value_left_out=left_out)
        with pytest.raises(DeadLetterError, match=f"{why}.*--file"):
            repaired_values(letter, ["a=1"])


def test_a_record_is_replayed_as_it_was_where_it_lay():
    misplaced = replace(LETTER, key=b"any", partition=1 - HOME, reason="handler_error")
    decision = replay(misplaced, None, PARTITIONS)
    assert (decision.settlement.action, decision.settlement.value, decision.partition) == ("replay", None, 1 - HOME)


def test_each_replay_counts_up():
    again = replace(LETTER, headers=(("replay_of", b"x"), ("replay_attempt", b"2")))
    assert replay(again, None, PARTITIONS).settlement.attempt == 3


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"value": b"{"}, "would be refused again .not_json.*repair it"),
        ({"value": None}, "would be refused again .tombstone"),
        ({"value": None, "value_left_out": LeftOut(9, "0")}, "not in its dead letter; repair it with --file"),
        ({"key": None, "key_left_out": True}, "not in its dead letter"),
        ({"value": None, "reason": "unreadable"}, "not in its dead letter"),
        ({"topic": APPLICATIONS_DECIDED.name, "value": OUTCOME, "key": b"any"}, "key_mismatch"),
    ],
)
def test_what_cannot_be_taken_as_it_was_is_not_replayed(change: dict[str, Any], why: str):
    with pytest.raises(DeadLetterError, match=why):
        replay(replace(LETTER, **change), None, PARTITIONS)


SETTLED = [
    (replace(BEGUN, written_to="applications.submitted/0/9"), "was repaired already.*applications.submitted/0/9"),
    (replace(BEGUN, action="replay", written_to="applications.submitted/0/9"), "was replayed already"),
    (Settlement(position=POSITION, action="drop", why="thử"), r"was dropped \(thử\)"),
]


@pytest.mark.parametrize(("settlement", "why"), SETTLED, ids=lambda each: getattr(each, "action", ""))
def test_what_is_settled_is_settled_for_good(settlement: Settlement, why: str):
    with pytest.raises(DeadLetterError, match=f"{POSITION}: {why}"):
        repair(LETTER, settlement, [VALUE], PARTITIONS)
    with pytest.raises(DeadLetterError, match=f"{POSITION}: {why}"):
        replay(LETTER, settlement, PARTITIONS)
    with pytest.raises(DeadLetterError, match=f"{POSITION}: {why}"):
        drop(LETTER, settlement, "why not")


def test_what_was_begun_is_finished_as_it_was_begun():
    assert replay(LETTER, BEGUN, PARTITIONS) == (LETTER, BEGUN, HOME)
    assert repair(LETTER, BEGUN, [VALUE], PARTITIONS) == (LETTER, BEGUN, HOME)
    as_it_was = replace(BEGUN, action="replay", key=None, value=None)
    assert replay(replace(LETTER, partition=1), as_it_was, PARTITIONS).partition == 1
    with pytest.raises(DeadLetterError, match="its repair was begun; `paperless dlq replay` finishes that"):
        repair(LETTER, BEGUN, [with_change(assisted=True)], PARTITIONS)
    with pytest.raises(DeadLetterError, match="was begun"):
        drop(LETTER, BEGUN, "why not")


@pytest.mark.parametrize("why", ["", "  a ", "x" * 301])
def test_nothing_is_dropped_without_a_sentence(why: str):
    with pytest.raises(DeadLetterError, match="--why: say"):
        drop(LETTER, None, why)


def test_a_position_is_read_as_it_is_written():
    assert checked_position("applications.submitted/03/41") == "applications.submitted/3/41"
    for wrong in ("", "applications.submitted", "applications.submitted/x/1", "applications.submitted/1/-1", "a/1/2/3"):
        with pytest.raises(DeadLetterError, match="no position"):
            checked_position(wrong)
    with pytest.raises(DeadLetterError, match=r"nobody refuses records of log\.identity"):
        checked_position("log.identity/0/0")


def test_letters_are_chosen_and_counted():
    one = summary(LETTER)
    assert one.applications == (KEY.decode(),)
    under_another_key = summary(replace(LETTER, key=submissions()[4][0]))
    assert under_another_key.applications == (KEY.decode(), submissions()[4][0].decode())
    other = one._replace(position="x", topic="documents.requested", refused_at_ms=9, state="repaired", applications=())
    chosen = {
        Selection(): [one, other],
        Selection(topic="documents.requested"): [other],
        Selection(reason="not_json"): [],
        Selection(application=KEY.decode()): [one],
        Selection(since_ms=3): [other],
        Selection(topic="documents.requested", since_ms=10): [],
    }
    for selection, expected in chosen.items():
        assert [each for each in (one, other) if each in selection] == expected
    table: list[Summary] = [one, other, other]
    assert {kind: dict(states) for kind, states in counts(table).items()} == {
        ("documents.requested", "breaks_contract"): {"repaired": 2},
        (APPLICATIONS_SUBMITTED.name, "breaks_contract"): {"open": 1},
    }
