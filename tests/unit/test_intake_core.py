"""What holds of every decision, and what intake refuses to decide."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.errors import Reject
from contracts.events import ApplicationDecided, ApplicationSubmitted, DocumentAnswer, DocumentsProvided
from domain import VN, load_domain
from services.intake.context import facts_of
from services.intake.core import RuleBook, answers_of, decide, look_ups
from services.intake.rules import Answers
from tests.support.intake_examples import APPLICATION_ID, BOOK, submission
from tests.support.intake_strategies import answers_for, digests, event_times, submissions, times_between


@given(data=st.data(), submitted=submissions(), digest=digests)
def test_answers_may_come_in_any_order(data, submitted, digest):
    facts = facts_of(submitted, digest)
    answers = data.draw(answers_for(facts))
    shuffled = dict(data.draw(st.permutations(list(answers.items()))))
    assert decide(facts, shuffled, BOOK).to_json() == decide(facts, answers, BOOK).to_json()


@given(data=st.data(), submitted=submissions(), digest=digests)
def test_a_decision_counts_what_was_answered(data, submitted, digest):
    facts = facts_of(submitted, digest)
    answers = data.draw(answers_for(facts))
    asked = set(look_ups(facts, BOOK))
    decision = decide(facts, answers, BOOK)
    assert decision.revision == len(asked & set(answers))
    assert decision.presumed == bool(asked - set(answers))


@given(data=st.data(), submitted=submissions(), digest=digests)
def test_more_knowledge_never_lowers_the_revision(data, submitted, digest):
    facts = facts_of(submitted, digest)
    answers = data.draw(answers_for(facts))
    fewer = {slug: answers[slug] for slug in answers if data.draw(st.booleans())}
    less, more = decide(facts, fewer, BOOK), decide(facts, answers, BOOK)
    assert less.revision <= more.revision
    assert more.revision > less.revision or more == less


@given(data=st.data(), submitted=submissions(), digest=digests)
def test_a_decision_is_written_as_its_event(data, submitted, digest):
    facts = facts_of(submitted, digest)
    value = decide(facts, data.draw(answers_for(facts)), BOOK).to_json()
    assert ApplicationDecided.model_validate_json(value).model_dump_json().encode() == value


@given(data=st.data(), submitted=submissions(), digest=digests)
def test_time_runs_forward_in_every_decision(data, submitted, digest):
    facts = facts_of(submitted, digest)
    answers = data.draw(answers_for(facts))
    decision = decide(facts, answers, BOOK)
    assert submitted.submitted_at <= decision.decided_at
    assert submitted.submitted_at <= decision.due_at
    assert all(answers[slug].at <= decision.decided_at for slug in _looked_up(submitted, answers))


def _looked_up(submitted: ApplicationSubmitted, answers: Answers) -> list[str]:
    return [slug for slug in look_ups(facts_of(submitted, "0" * 16), BOOK) if slug in answers]


@given(data=st.data(), submitted=submissions(), digest=digests)
def test_reasons_and_outcome_belong_together(data, submitted, digest):
    facts = facts_of(submitted, digest)
    decision = decide(facts, data.draw(answers_for(facts)), BOOK)
    assert (decision.outcome == "end_to_end") == (decision.reasons == ())
    if decision.outcome == "end_to_end":
        assert decision.channel == "online"
        assert {one.source for one in decision.components} <= {"data", "upload", "form"}


@given(data=st.data(), submitted=submissions(), attempts=st.integers(1, 9))
def test_a_complete_answer_does_not_know_the_attempts(data, submitted, attempts):
    facts = facts_of(submitted, "0" * 16)
    answers = data.draw(answers_for(facts))
    decision = decide(facts, answers, BOOK)
    assume(not decision.presumed)
    assert decide(facts, answers, RuleBook.of(load_domain(), attempts)) == decision


@given(submitted=submissions())
def test_whatever_passes_the_check_can_be_decided(submitted):
    procedure = BOOK.submissions.check(submitted)
    assert procedure.code == submitted.procedure
    decide(facts_of(submitted, "0" * 16), {}, BOOK)


@given(
    submitted_at=times_between(datetime(2024, 12, 1, tzinfo=VN), datetime(2027, 2, 1, tzinfo=VN)),
    supplement=st.integers(0, 120_000),
    handling=st.integers(0, 120_000),
    applicant=st.sampled_from(["upload", "paper", "none"]),
)
def test_near_the_calendars_end_a_case_is_refused_or_decided(submitted_at, supplement, handling, applicant):
    submitted = submission(
        submitted_at=submitted_at,
        supplement_minutes=supplement,
        handling_minutes=handling,
        components={"giay_chung_sinh": applicant},
    )
    if not _is_accepted(submitted):
        return
    facts = facts_of(submitted, "0" * 16)
    last = DocumentAnswer("giay_chung_sinh", "missing", "y_te", submitted_at + timedelta(seconds=56))
    assert decide(facts, {"giay_chung_sinh": last}, BOOK).decided_at.year <= 2026


def _is_accepted(submitted: ApplicationSubmitted) -> bool:
    try:
        BOOK.submissions.check(submitted)
    except Reject as reject:
        if reject.reason != "outside_calendar":
            raise
        return False
    return True


@pytest.mark.parametrize("year", [1, 1999, 2024, 2027, 9999])
def test_a_submission_outside_the_calendar_is_refused(year):
    submitted = submission(submitted_at=datetime(year, 6, 1, 9, tzinfo=VN))
    with pytest.raises(Reject, match=r"outside_calendar: submitted_at: .*add its year to holidays.csv"):
        BOOK.submissions.check(submitted)


def test_an_ordinary_case_in_december_2026_ends_next_year():
    submitted = submission(submitted_at=datetime(2026, 12, 30, 9, tzinfo=VN))
    with pytest.raises(Reject, match="outside_calendar: submitted_at"):
        BOOK.submissions.check(submitted)


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"procedure": "9.999999"}, "unknown_procedure", "procedure: '9.999999' is not in procedures.csv"),
        ({"province": "99"}, "unknown_province", "province: '99' is not in provinces.csv"),
        ({"home_province": "00"}, "unknown_province", "home_province: '00' is not in provinces.csv"),
        ({"commune": "99999"}, "unknown_commune", "commune: '99999' is not in province 01"),
        ({"province": "04"}, "unknown_commune", "commune: '00004' is not in province 04"),
        ({"authority": "ministry"}, "wrong_authority", "authority: 1.001193 is run by the province"),
        ({"components": {"ho_chieu": "upload"}}, "unknown_component", "'ho_chieu' is not of procedure 1.001193"),
        ({"part_minutes": {"khai_sinh": 60}}, "wrong_parts", "part_minutes: not the parts of 1.001193"),
        ({"procedure": "2.002621", "components": {}, "part_minutes": {"khai_sinh": 60}}, "wrong_parts", "of 2.002621"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else None,
)
def test_a_wrong_name_is_refused_with_its_field(changes, reason, detail):
    submitted = submission().model_copy(update=changes)
    with pytest.raises(Reject) as refusal:
        BOOK.submissions.check(submitted)
    assert refusal.value.reason == reason
    assert detail in refusal.value.detail


def test_a_refused_filing_asks_no_database():
    facts = facts_of(submission(account_level=1), "0" * 16)
    assert look_ups(facts, BOOK) == ()


def test_only_what_data_may_replace_is_looked_up():
    components: dict[str, Any] = {
        "to_khai_khai_sinh": "none",
        "van_ban_uy_quyen": "upload",
        "giay_chung_sinh": "upload",
    }
    facts = facts_of(submission(components=components), "0" * 16)
    assert list(look_ups(facts, BOOK)) == ["giay_chung_sinh"]


def test_a_reply_is_read_by_component():
    at = datetime(2025, 10, 1, 9, 0, 2, tzinfo=VN)
    answer = DocumentAnswer(component="giay_chung_sinh", answer="found", database="y_te", at=at)
    provided = DocumentsProvided(application_id=APPLICATION_ID, attempt=1, answers=(answer,), context="")
    assert answers_of(provided) == {"giay_chung_sinh": DocumentAnswer("giay_chung_sinh", "found", "y_te", at)}


@given(at=event_times)
def test_each_attempt_follows_by_a_look_ups_time_out(at):
    assert BOOK.as_of(at, 1) == at
    assert BOOK.as_of(at, 3) - BOOK.as_of(at, 2) == timedelta(seconds=19) == BOOK.as_of(at, 2) - at
