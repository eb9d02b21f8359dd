"""Settlements of dead letters: the first in the log holds, and a letter is open until one is there."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.dead_letters import DeadLetter, dead_letter, read_dead_letter
from runtime.messages import Message
from runtime.settlements import (
    DeadLetterLog,
    NoSettlementError,
    Settlement,
    attempts_of,
    begun,
    done,
    read_settlement,
    written_back,
)
from tests.support.fakes_runtime import Stored

DLQ = "orders.stock.dlq"
REFUSED = Stored("orders", 1, 41, 5, b"k", b"v", (("ce_id", b"x"), ("raw", b"\xff")))
POSITION = "orders/1/41"
REPAIR = Settlement(position=POSITION, action="repair", attempt=1, key=b"new k", value=b"new v")


def written(message: Message, offset: int) -> Stored:
    topic, key, value, headers = message
    return Stored(topic, 1, offset, 1_000 + offset, key, value, tuple(headers))


def letter_record(offset: int = 0, refused: Stored = REFUSED) -> Stored:
    return written(dead_letter(refused, topic=DLQ, reason="no_answer", detail="value: neither"), offset)


def log_of(*records: Stored) -> DeadLetterLog[DeadLetter]:
    log: DeadLetterLog[DeadLetter] = DeadLetterLog(lambda letter: letter)
    log.add(records)
    return log


def test_a_letter_is_open_until_it_is_settled():
    [(letter, settlement)] = log_of(letter_record(), letter_record(1)).letters()
    assert (letter.position, settlement) == (POSITION, None)


@pytest.mark.parametrize(
    "settlement",
    [
        REPAIR,
        Settlement(position=POSITION, action="replay", attempt=3),
        Settlement(position=POSITION, action="drop", why="nộp thử, không phải hồ sơ"),
    ],
    ids=lambda settlement: settlement.action,
)
def test_a_settlement_is_read_as_it_was_written(settlement: Settlement):
    read = read_settlement(written(begun(settlement, DLQ), 7))
    assert read == replace(settlement, offset=7, begun_at_ms=1_007)
    assert read.finished is (settlement.action == "drop")


def test_it_is_finished_when_its_record_is_written_back():
    log = log_of(letter_record(), written(begun(REPAIR, DLQ), 1), written(done(POSITION, "orders/0/9", DLQ), 2))
    settlement = log.settlement(POSITION)
    assert settlement is not None
    assert (settlement.written_to, settlement.value, settlement.finished) == ("orders/0/9", b"new v", True)


def test_of_two_settlements_the_first_in_the_log_holds():
    other = replace(REPAIR, value=b"another v")
    log = log_of(letter_record(), written(begun(REPAIR, DLQ), 1), written(begun(other, DLQ), 2))
    settlement = log.settlement(POSITION)
    assert settlement is not None
    assert (settlement.value, settlement.offset) == (b"new v", 1)


def test_what_is_written_back_says_of_which_letter_it_is():
    letter = read_dead_letter(letter_record())
    back = (("ce_id", b"x"), ("raw", b"\xff"), ("replay_of", b"orders/1/41"), ("replay_attempt", b"1"))
    assert written_back(letter, REPAIR) == ("orders", b"new k", b"new v", list(back))
    replay = Settlement(position=POSITION, action="replay", attempt=1)
    assert written_back(letter, replay) == ("orders", b"k", b"v", list(back))


def test_what_is_refused_again_counts_its_attempts_and_names_its_last_letter():
    letter = read_dead_letter(letter_record())
    assert attempts_of(letter) == 0
    topic, key, value, headers = written_back(letter, REPAIR)
    again = read_dead_letter(letter_record(2, Stored(topic, 1, 57, 6, key, value, tuple(headers))))
    assert attempts_of(again) == 1
    second = written_back(again, replace(REPAIR, position=again.position, attempt=2))[3]
    assert [value for name, value in second if name.startswith("replay")] == [b"orders/1/57", b"2"]


@pytest.mark.parametrize("count", [b"", b"-1", b"many", b"9" * 5_000, None])
def test_an_attempt_that_somebody_else_wrote_counts_nothing(count: bytes | None):
    headers = (("replay_attempt", count),)
    assert attempts_of(read_dead_letter(letter_record(0, REFUSED._replace(headers=headers)))) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"dlq_action": b"burn"}, "a header is none of ours .'burn' is none of repair, replay, drop"),
        ({"dlq_attempt": b"x"}, "a header is none of ours"),
        ({"dlq_why": None}, "a header is none of ours"),
        ({"dlq_settles": b"\xff"}, "a header is none of ours"),
    ],
)
def test_what_is_neither_letter_nor_settlement_is_named_and_settles_nothing(change: dict[str, bytes | None], why: str):
    record = written(begun(REPAIR, DLQ), 4)
    wrong = record._replace(headers=tuple((dict(record.headers) | change).items()))  # type: ignore[arg-type]
    with pytest.raises(NoSettlementError, match=f"^{DLQ}/1/4: no settlement, {why}"):
        read_settlement(wrong)
    log = log_of(letter_record(), wrong, Stored(DLQ, 1, 5, 0, b"k", b"v", ()))
    assert [settled.settlement for settled in log.letters()] == [None]
    assert [line.split(":")[0] for line in log.strangers] == [f"{DLQ}/1/4", f"{DLQ}/1/5"]


def test_only_what_is_wanted_of_letters_is_kept():
    log: DeadLetterLog[str] = DeadLetterLog(lambda letter: letter.reason if letter.offset == 41 else None)
    log.add([letter_record(), letter_record(1, REFUSED._replace(offset=42)), written(begun(REPAIR, DLQ), 2)])
    [(reason, settlement)] = log.letters()
    assert (reason, settlement and settlement.action) == ("no_answer", "repair")


STEPS = st.sampled_from(["letter", "repair", "replay", "drop", "done"])


@given(st.lists(STEPS, max_size=12))
def test_however_often_it_is_tried_a_letter_is_settled_once(steps: Iterable[str]):
    records = {
        "letter": dead_letter(REFUSED, topic=DLQ, reason="no_answer", detail=""),
        "repair": begun(REPAIR, DLQ),
        "replay": begun(Settlement(position=POSITION, action="replay", attempt=1), DLQ),
        "drop": begun(Settlement(position=POSITION, action="drop", why="no"), DLQ),
        "done": done(POSITION, "orders/0/9", DLQ),
    }
    steps = ["letter", *steps]
    log = log_of(*(written(records[step], offset) for offset, step in enumerate(steps)))
    [(_, settlement)] = log.letters()
    actions = [step for step in steps if step in {"repair", "replay", "drop"}]
    assert (settlement and settlement.action) == (actions[0] if actions else None)
    if settlement:
        assert settlement.finished is ("done" in steps or settlement.action == "drop")
