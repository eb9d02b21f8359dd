"""Intake's handlers, record by record: what is asked, what is remembered, what is decided."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given

from contracts.errors import Reject
from contracts.events import (
    ApplicationDecided,
    ApplicationSubmitted,
    DocumentAnswer,
    DocumentsProvided,
    DocumentsRequested,
)
from contracts.records import partition_of, short_digest
from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED, DOCUMENTS_PROVIDED, DOCUMENTS_REQUESTED
from domain import VN
from runtime.messages import NOTHING, Effects, State
from runtime.metrics import Metrics
from services.intake.app import METRICS
from services.intake.context import facts_of, seal
from services.intake.core import answers_of, decide
from services.intake.handlers import IntakeHandlers
from tests.support.fakes_runtime import Sent, effects_of
from tests.support.intake_examples import APPLICATION_ID, BOOK, submission
from tests.support.intake_strategies import submissions

KEY = b"a signing key"
PARTITIONS = 6
OTHER_ID = "01999e5b-8e80-7000-8000-00000000000a"
AT = datetime(2025, 10, 1, 9, 0, 2, tzinfo=VN)


class Stored(NamedTuple):
    topic: str
    key: bytes | None
    value: bytes | None
    partition: int
    offset: int = 0
    timestamp: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


def handlers(metrics: Metrics | None = None) -> IntakeHandlers:
    metrics = metrics or Metrics("intake", METRICS)
    return IntakeHandlers(BOOK, key=KEY, partitions=PARTITIONS, patience_s=4.0, tally=metrics.tally)


def record(topic: str, event: ApplicationSubmitted | DocumentsProvided) -> Any:
    key = event.application_id.encode()
    return Stored(topic, key, event.model_dump_json().encode(), partition_of(key, PARTITIONS))


def submitted_record(**changes: Any) -> Any:
    return record(APPLICATIONS_SUBMITTED.name, submission(**changes))


def context_of(**changes: Any) -> str:
    value = submission(**changes).model_dump_json().encode()
    return seal(facts_of(submission(**changes), short_digest(value)), KEY)


def reply(
    *known: str,
    attempt: int = 1,
    context: str | None = None,
    application_id: str = APPLICATION_ID,
    at: datetime = AT,
) -> Any:
    answers = tuple(DocumentAnswer(component=slug, answer="found", database="dan_cu", at=at) for slug in known)
    context = context_of() if context is None else context
    event = DocumentsProvided(application_id=application_id, attempt=attempt, answers=answers, context=context)
    return record(DOCUMENTS_PROVIDED.name, event)


def handle(handler: IntakeHandlers, record: Any, pending: dict[bytes, State]) -> Effects:
    return effects_of(handler.on_record(record, pending))


def opened(**changes: Any) -> dict[bytes, State]:
    effects = handle(handlers(), submitted_record(**changes), {})
    assert effects.open is not None
    return {effects.open.key: effects.open.state}


def rearmed(effects: Effects) -> dict[bytes, State]:
    assert effects.rearm is not None
    return {effects.rearm.key: effects.rearm.state}


def outcome(effects: Effects) -> ApplicationDecided:
    message = Sent(*effects.publish[0])
    assert message.topic == APPLICATIONS_DECIDED.name
    return ApplicationDecided.model_validate_json(message.value or b"")


def request(effects: Effects) -> DocumentsRequested:
    message = Sent(*effects.publish[0])
    assert message.topic == DOCUMENTS_REQUESTED.name
    return DocumentsRequested.model_validate_json(message.value or b"")


BOTH = ("giay_chung_sinh", "giay_to_tuy_than")


@given(submitted=submissions())
def test_a_request_is_written_as_its_event(submitted):
    effects = handle(handlers(), record(APPLICATIONS_SUBMITTED.name, submitted), {})
    for message in (Sent(*one) for one in effects.publish):
        model = DocumentsRequested if message.topic == DOCUMENTS_REQUESTED.name else ApplicationDecided
        value = message.value or b""
        assert model.model_validate_json(value).model_dump_json().encode() == value


def test_a_submission_asks_for_every_replaceable_component():
    effects = handle(handlers(), submitted_record(), {})
    asked = request(effects)
    assert [(document.component, document.databases) for document in asked.documents] == [
        ("giay_chung_sinh", ("y_te",)),
        ("giay_to_tuy_than", ("dan_cu",)),
    ]
    assert (asked.attempt, asked.as_of, asked.consent) == (1, submission().submitted_at, True)
    assert Sent(*effects.publish[0]).key == APPLICATION_ID.encode()
    assert dict(Sent(*effects.publish[0]).headers)["ce_id"] == f"{APPLICATION_ID}/requested/1".encode()


HOME = partition_of(APPLICATION_ID.encode(), PARTITIONS)
HEADERS = (("ce_id", b"theirs"), ("empty", None))


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("partition", range(PARTITIONS))
@pytest.mark.parametrize("key", [APPLICATION_ID.encode(), OTHER_ID.encode(), b"any", b"", None])
def test_a_submission_under_any_key_on_any_partition_goes_to_its_own(key: bytes | None, partition: int, *, ahead: bool):
    metrics = Metrics("intake", METRICS)
    filed = submitted_record()._replace(key=key, partition=partition, headers=HEADERS)
    handler = handlers(metrics)
    if ahead:
        handler.look_ahead([filed, submitted_record(), filed])
    effects = handle(handler, filed, {})
    if (key, partition) == (APPLICATION_ID.encode(), HOME):
        assert request(effects).attempt == 1
        return
    assert effects.partition == HOME
    assert effects == Effects(effects.publish, partition=HOME)
    [message] = effects.publish
    assert message == (APPLICATIONS_SUBMITTED.name, APPLICATION_ID.encode(), filed.value, list(HEADERS))
    assert metrics.tally("submissions_moved_total") == {(): 1}
    # Never twice: there it is in its place.
    again = filed._replace(key=message[1], partition=effects.partition)
    assert request(handle(handlers(), again, {})).attempt == 1


@pytest.mark.parametrize("changes", [{"commune": "99999"}, {"home_province": "99"}])
def test_a_submission_that_cannot_be_decided_is_refused_where_it_lies(changes: dict[str, Any]):
    with pytest.raises(Reject, match="unknown_"):
        handle(handlers(), submitted_record(**changes)._replace(key=None, partition=(HOME + 1) % PARTITIONS), {})


def test_a_reply_elsewhere_is_refused_with_and_without_an_open_entry():
    elsewhere = reply(*BOTH)._replace(partition=(HOME + 1) % PARTITIONS)
    with pytest.raises(Reject, match="key_mismatch"):
        handle(handlers(), elsewhere, {})
    foreign = reply(*BOTH, application_id=OTHER_ID)
    home = partition_of(OTHER_ID.encode(), PARTITIONS)
    with pytest.raises(Reject, match="key_mismatch"):
        handle(handlers(), foreign._replace(partition=(home + 1) % PARTITIONS), opened())


def test_a_refused_filing_is_decided_without_asking():
    effects = handle(handlers(), submitted_record(account_level=1), {})
    assert outcome(effects).outcome == "rejected"
    assert effects.open is None


def test_an_application_of_forms_alone_is_decided_at_once():
    effects = handle(handlers(), submitted_record(components={"to_khai_khai_sinh": "none"}), {})
    assert (outcome(effects).outcome, outcome(effects).presumed) == ("end_to_end", False)


def test_a_repeated_submission_asks_nothing_twice():
    assert handle(handlers(), submitted_record(), opened()) == NOTHING


def test_other_content_under_the_same_id_is_asked_for_too():
    effects = handle(handlers(), submitted_record(handling_minutes=61), opened())
    assert request(effects).attempt == 1
    assert effects.open is not None
    assert effects.open.key not in opened()


def test_a_complete_reply_decides_and_closes():
    pending = opened()
    effects = handle(handlers(), reply(*BOTH), pending)
    decided = outcome(effects)
    assert (decided.outcome, decided.revision, decided.presumed) == ("end_to_end", 2, False)
    assert effects.close in pending
    assert dict(Sent(*effects.publish[0]).headers)["ce_id"] == f"{APPLICATION_ID}/decided/2".encode()


def test_an_incomplete_reply_asks_again():
    metrics = Metrics("intake", METRICS)
    effects = handle(handlers(metrics), reply("giay_chung_sinh"), opened())
    asked = request(effects)
    assert (asked.attempt, asked.as_of - submission().submitted_at) == (2, timedelta(seconds=19))
    assert [document.component for document in asked.documents] == list(BOTH)
    assert not effects.retry
    assert metrics.tally("applications_asked_again_total") == {("incomplete",): 1}


def test_an_incomplete_reply_to_the_last_asking_is_presumed():
    handler, pending = handlers(), opened()
    for attempt in (1, 2):
        pending = rearmed(handle(handler, reply("giay_chung_sinh", attempt=attempt), pending))
    decided = outcome(handle(handler, reply(attempt=3), pending))
    assert (decided.presumed, decided.revision) == (True, 1)
    assert {one.component: one.cause for one in decided.components} == {
        "giay_chung_sinh": None,
        "giay_to_tuy_than": "unreachable",
    }


def test_a_late_reply_to_an_earlier_asking_only_restarts_patience():
    handler = handlers()
    pending = rearmed(handler.on_deadline(*next(iter(opened().items()))))
    effects = handle(handler, reply("giay_chung_sinh", attempt=1), pending)
    assert effects.publish == ()
    assert effects.rearm is not None
    assert effects.rearm.patience_s == 4.0


def test_silence_asks_again_within_a_budget():
    effects = handlers().on_deadline(*next(iter(opened().items())))
    assert request(effects).attempt == 2
    assert effects.retry


def test_silence_at_the_last_asking_presumes_the_best_reply():
    handler, pending = handlers(), opened()
    pending = rearmed(handle(handler, reply("giay_chung_sinh"), pending))
    pending = rearmed(handler.on_deadline(*next(iter(pending.items()))))
    effects = handler.on_deadline(*next(iter(pending.items())))
    decided = outcome(effects)
    assert (decided.presumed, decided.revision) == (True, 1)
    assert effects.close in pending
    assert not effects.retry


def test_total_silence_is_presumed_unreachable():
    handler, pending = handlers(), opened()
    for _ in range(BOOK.attempts - 1):
        pending = rearmed(handler.on_deadline(*next(iter(pending.items()))))
    decided = outcome(handler.on_deadline(*next(iter(pending.items()))))
    assert (decided.presumed, decided.revision) == (True, 0)
    assert {one.cause for one in decided.components} == {"unreachable"}


def test_a_reply_after_the_decision_may_overrule_it():
    effects = handle(handlers(), reply(*BOTH), {})
    assert (outcome(effects).revision, outcome(effects).presumed) == (2, False)


def test_a_reply_is_decided_alike_with_and_without_memory():
    remembered = handle(handlers(), reply(*BOTH), opened()).publish
    assert handle(handlers(), reply(*BOTH), {}).publish == remembered


def test_a_reply_is_decided_as_the_core_decides():
    given_reply = reply(*BOTH)
    provided = DocumentsProvided.model_validate_json(given_reply.value)
    facts = facts_of(submission(), short_digest(submission().model_dump_json().encode()))
    expected = decide(facts, answers_of(provided), BOOK).to_json()
    assert Sent(*handle(handlers(), given_reply, opened()).publish[0]).value == expected


@pytest.mark.parametrize("pending", [{}, opened()], ids=["closed", "open"])
@pytest.mark.parametrize(
    "context",
    ["", "1,x.y", context_of()[:-1], context_of() + "0", context_of(handling_minutes=61)[:-16] + context_of()[-16:]],
    ids=["empty", "nonsense", "cut", "longer", "other facts"],
)
def test_a_forged_context_is_refused(context, pending):
    with pytest.raises(Reject, match="forged_context"):
        handle(handlers(), reply(*BOTH, context=context), pending)


@pytest.mark.parametrize("pending", [{}, opened()], ids=["closed", "open"])
def test_a_context_under_another_application_is_refused(pending):
    moved = reply(*BOTH, application_id=OTHER_ID)
    with pytest.raises(Reject, match="forged_context"):
        handle(handlers(), moved, pending)


@pytest.mark.parametrize("year", [2099, 9999])
def test_an_answer_from_another_age_is_refused(year):
    with pytest.raises(Reject, match="outside_calendar: answers: "):
        handle(handlers(), reply(*BOTH, at=AT.replace(year=year)), opened())


def test_an_answer_dated_before_the_filing_speeds_nothing_up():
    early = handle(handlers(), reply(*BOTH, at=AT.replace(year=1)), opened())
    assert early == handle(handlers(), reply(*BOTH, at=AT.replace(second=0)), opened())


def test_a_wrong_submission_is_refused_before_anything_is_asked():
    with pytest.raises(Reject, match="unknown_commune"):
        handle(handlers(), submitted_record(commune="99999"), {})


def test_outcomes_are_counted_by_kind():
    metrics = Metrics("intake", METRICS)
    handler, pending = handlers(metrics), opened()
    for _ in range(BOOK.attempts):
        effects = handler.on_deadline(*next(iter(pending.items())))
        pending = rearmed(effects) if effects.rearm else pending
    assert metrics.tally("applications_asked_again_total") == {("silence",): 2}
    assert metrics.tally("outcomes_presumed_total") == {(): 1}
    assert list(metrics.tally("outcomes_total").values()) == [1]


def test_the_window_remembers_no_personal_data_but_the_record():
    ((_, (attempt, value, *rest)),) = opened().items()
    assert (attempt, value) == (1, submission().model_dump_json().encode())
    assert submission().citizen_number not in repr(rest)
