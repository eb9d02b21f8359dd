"""Dead letters: nothing of the record is lost, and a flood of them stops the line."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from contracts.errors import Reject
from contracts.records import application_of
from runtime.dead_letters import (
    MAX_DEAD_LETTER_BYTES,
    REFUSALS_LOGGED_EVERY_S,
    DeadLetter,
    DeadLetterLimit,
    LeftOut,
    NoDeadLetterError,
    Refusals,
    TooManyDeadLettersError,
    dead_letter,
    limit_of,
    read_dead_letter,
)
from runtime.settings import ServiceSettings
from tests.support.fakes_runtime import Sent, Stored

RECORD = Stored("applications.submitted", 3, 41, 1_760_000_000_123, b"k", b"v", (("ce_id", b"x"), ("raw", b"\xff\xfe")))


def letter_of(record: Stored, *, reason: str = "not_json", detail: str = "value: no JSON") -> Sent:
    return Sent(*dead_letter(record, topic="applications.submitted.intake.dlq", reason=reason, detail=detail))


def size_of(letter: Sent) -> int:
    headers = sum(len(name) + len(value) for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers


def test_it_carries_the_record_its_reason_and_its_place():
    letter = letter_of(RECORD)
    assert (letter.topic, letter.key, letter.value) == ("applications.submitted.intake.dlq", b"k", b"v")
    assert dict(letter.headers) == {
        "dlq_reason": b"not_json",
        "dlq_detail": b"value: no JSON",
        "dlq_topic": b"applications.submitted",
        "dlq_partition": b"3",
        "dlq_offset": b"41",
        "dlq_timestamp": b"1760000000123",
        "ce_id": b"x",
        "raw": b"\xff\xfe",
    }


def test_a_replayed_record_names_its_latest_reason_only():
    again = RECORD._replace(headers=tuple(letter_of(RECORD).headers))
    headers = letter_of(again, reason="handler_error").headers
    assert [value for name, value in headers if name == "dlq_reason"] == [b"handler_error"]


@pytest.mark.parametrize("size", [0, 900_000])
def test_a_value_that_fits_is_kept_whole(size: int):
    assert letter_of(RECORD._replace(value=b"x" * size)).value == b"x" * size


def test_an_oversized_value_is_replaced_by_its_digest():
    value = b"x" * (MAX_DEAD_LETTER_BYTES + 1)
    letter = letter_of(RECORD._replace(value=value))
    headers = dict(letter.headers)
    assert letter.value is None
    assert headers["dlq_value_bytes"] == str(len(value)).encode()
    assert headers["dlq_value_blake2b"] == blake2b(value, digest_size=16).hexdigest().encode()
    assert headers["dlq_offset"] == b"41"


def test_a_tombstone_is_no_oversized_value():
    letter = letter_of(RECORD._replace(value=None))
    assert letter.value is None
    assert "dlq_value_bytes" not in dict(letter.headers)


@pytest.mark.parametrize(
    "record",
    [
        RECORD._replace(value=b"x" * 990_000, headers=(("h", b"y" * 60_000),)),
        RECORD._replace(headers=(("h", b"y" * 1_060_000),)),
        RECORD._replace(key=b"k" * 1_060_000),
    ],
    ids=["value and headers", "headers", "key"],
)
def test_no_dead_letter_is_too_large_for_its_topic(record: Stored):
    assert size_of(letter_of(record, detail="d" * 5_000)) <= MAX_DEAD_LETTER_BYTES + 2_000


def test_a_long_detail_is_cut():
    assert len(dict(letter_of(RECORD, detail="d" * 5_000).headers)["dlq_detail"]) == 500


def read_back(record: Stored, **letter: str) -> DeadLetter:
    """What is read of a record's dead letter, which lies at another place than the record."""
    sent = letter_of(record, **letter)
    return read_dead_letter(Stored(sent.topic, 3, 7, 1_760_000_009_000, sent.key, sent.value, tuple(sent.headers)))


def test_it_is_read_as_it_was_written():
    assert read_back(RECORD, reason="breaks_contract", detail="tờ khai: thiếu") == DeadLetter(
        topic="applications.submitted",
        partition=3,
        offset=41,
        reason="breaks_contract",
        detail="tờ khai: thiếu",
        key=b"k",
        value=b"v",
        headers=(("ce_id", b"x"), ("raw", b"\xff\xfe")),
        value_left_out=None,
        key_left_out=False,
        sent_at_ms=1_760_000_000_123,
        refused_at_ms=1_760_000_009_000,
    )
    assert read_back(RECORD).position == "applications.submitted/3/41"


def test_what_was_left_out_is_told_from_what_was_never_there():
    large = b"x" * (MAX_DEAD_LETTER_BYTES + 1)
    digest = blake2b(large, digest_size=16).hexdigest()
    without_value = read_back(RECORD._replace(value=large))
    assert (without_value.value, without_value.value_left_out) == (None, LeftOut(len(large), digest))
    assert (without_value.key, without_value.key_left_out) == (b"k", False)
    tombstone = read_back(RECORD._replace(key=None, value=None))
    assert (tombstone.value, tombstone.value_left_out, tombstone.key_left_out) == (None, None, False)
    without_key = read_back(RECORD._replace(key=large))
    assert (without_key.key, without_key.headers, without_key.key_left_out) == (None, (), True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"dlq_offset": None}, "header 'dlq_offset' is missing"),
        ({"dlq_reason": None}, "header 'dlq_reason' is missing"),
        ({"dlq_offset": b"many"}, "a header is none of ours .*'many'"),
        ({"dlq_detail": b"\xff"}, "a header is none of ours .*utf-8"),
    ],
)
def test_what_is_no_dead_letter_is_named(change: dict[str, bytes | None], why: str):
    headers = dict(letter_of(RECORD).headers) | change
    kept = tuple((name, value) for name, value in headers.items() if value is not None)
    with pytest.raises(NoDeadLetterError, match=f"^applications.submitted/3/41: no dead letter, {why}"):
        read_dead_letter(RECORD._replace(headers=kept))


def noted(limit: DeadLetterLimit, refusals: list[bool]) -> int:
    """How many records pass before the limit trips; all of them if it does not."""
    for place, refused in enumerate(refusals):
        try:
            limit.refuse() if refused else limit.accept()
        except TooManyDeadLettersError:
            return place
    return len(refusals)


def test_a_run_of_refusals_trips_the_limit():
    assert noted(DeadLetterLimit(max_run=5), [True] * 9) == 4


def test_one_good_record_ends_a_run():
    assert noted(DeadLetterLimit(max_run=5, sample=100), ([True] * 4 + [False]) * 5) == 25


def test_half_of_all_records_refused_trips_the_limit():
    assert noted(DeadLetterLimit(max_run=99, max_share=0.5, sample=10), [True, True, False] * 9) < 27


def test_a_few_refusals_a_day_never_trip_the_limit():
    limit = DeadLetterLimit(max_run=99, max_share=0.5, sample=10)
    assert noted(limit, [True, False, False] * 400) == 1_200


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 8), st.sampled_from([0.2, 0.5]), st.integers(2, 12))
def test_the_limit_trips_only_with_good_reason(refusals, max_run, max_share, sample):
    passed = noted(DeadLetterLimit(max_run=max_run, max_share=max_share, sample=sample), refusals)
    seen = refusals[: passed + 1]
    many = sum(seen[-sample:]) > max_share * sample
    run = len(seen) >= max_run and all(seen[-max_run:])
    assert passed == len(refusals) or many or run


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 8), st.integers(2, 12))
def test_no_run_of_refusals_passes_the_limit(refusals, max_run, sample):
    passed = refusals[: noted(DeadLetterLimit(max_run=max_run, max_share=1.0, sample=sample), refusals)]
    assert not any(all(passed[at : at + max_run]) for at in range(len(passed) - max_run + 1))


def test_the_limit_says_what_to_look_for():
    limit = DeadLetterLimit(max_run=1)
    with pytest.raises(TooManyDeadLettersError, match="bad deploy or a wrong topic; fix it and start again"):
        limit.refuse()


class Lines:
    """What is logged, and a clock that moves when it is told to."""

    def __init__(self, lines: list[Any]) -> None:
        self.at, self._lines = 0.0, lines
        self.refusals = Refusals(lambda: self.at)

    def refused(self, offset: int, reason: str = "not_json", detail: str = "value: no JSON") -> None:
        record = RECORD._replace(offset=offset)
        reject = Reject(reason, detail)
        assert self.refusals.refusal_of(record, reject) is reject

    def said(self) -> list[tuple[Any, ...]]:
        return [(line["place"], line["reason"], line["others_before"]) for line in self._lines]


@pytest.fixture
def lines() -> Iterator[Lines]:
    with capture_logs() as found:
        yield Lines(found)


def test_the_first_refusal_of_each_reason_is_logged_at_once_and_others_are_counted(lines):
    for offset in range(5):
        lines.refused(offset)
    lines.refused(5, "tombstone")
    lines.at += REFUSALS_LOGGED_EVERY_S
    lines.refused(6)
    lines.refused(7)
    topic = "applications.submitted/3"
    assert lines.said() == [
        (f"{topic}/0", "not_json", 0),
        (f"{topic}/5", "tombstone", 0),
        (f"{topic}/6", "not_json", 4),
    ]


def test_a_logged_refusal_has_nothing_of_the_record(lines):
    lines.refused(0)
    [line] = lines._lines
    assert set(line) == {"event", "log_level", "place", "reason", "detail", "id", "others_before"}
    assert line["id"] is None


def test_a_logged_refusal_names_the_application_and_nothing_else_of_its_record():
    application = "0199bf9f-4fe8-7999-8999-999999999999"
    person = "079203001234"
    value = f'{{"citizen_number": "{person}", "application_id": "{application}", "cut": '.encode()
    with capture_logs() as found:
        refusals = Refusals(lambda: 0.0, application_of)
        refusals.refusal_of(RECORD._replace(key=person.encode(), value=value), Reject("not_json", "value: cut off"))
        refusals.refusal_of(RECORD._replace(key=person.encode(), value=None), Reject("tombstone", "value: null"))
        refusals.refusal_of(RECORD._replace(key=application.encode(), value=None), Reject("too_large", "value: many"))
    assert [line["id"] for line in found] == [application, None, application]
    assert person not in str(found)


def test_our_own_bug_is_logged_each_time():
    with capture_logs() as found:
        reject = Refusals(lambda: 0.0).refusal_of(RECORD, ZeroDivisionError("x"))
    assert (reject.reason, [line["log_level"] for line in found]) == ("handler_error", ["error"])


def test_a_process_is_told_its_limit():
    settings = ServiceSettings(dead_letter_max_run=5, dead_letter_max_share=1.0)
    assert noted(limit_of(settings), [True] * 9) == 4
    assert noted(limit_of(settings), ([True] * 4 + [False]) * 500) == 2_500
