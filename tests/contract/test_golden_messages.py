"""What was once on the wire is still understood, field by field, and by each consumer."""

import json
from typing import Any

import pytest

from contracts.events import ApplicationDecided, ApplicationSubmitted, DocumentsProvided, DocumentsRequested
from contracts.records import decode_event
from contracts.topics import (
    ALL,
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    CORRECTIONS_REQUESTED,
    DEFAULT_PARTITIONS,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
)
from domain import load_domain
from runtime.messages import NOTHING
from services.intake.core import RuleBook
from services.intake.handlers import IntakeHandlers
from services.scoring.rollup.outcome import decode
from services.vneid_mock.control import PlanState
from services.vneid_mock.core import Vneid, respond
from services.vneid_mock.handlers import VneidHandlers
from services.vneid_mock.plan_files import load_plan
from services.vneid_mock.registry import Registry
from tests.support.fakes_runtime import Sent, effects_of
from tests.support.golden import EXAMPLES, SIGNING_KEY, every, golden, of_topic

EVERY = [pytest.param(topic, message, id=f"{topic.name}/{message.name}") for topic, message in every()]
# Stories in which a database was asked, so that they have all four messages.
ASKED = [message.name for message in of_topic(DOCUMENTS_PROVIDED)]


def intake() -> IntakeHandlers:
    return IntakeHandlers(RuleBook.of(load_domain(), 3), key=SIGNING_KEY, partitions=DEFAULT_PARTITIONS, patience_s=4.0)


def test_every_topic_has_three_to_five_examples():
    assert {path.name for path in EXAMPLES.iterdir()} == {topic.name for topic in ALL}
    assert all(3 <= len(of_topic(topic)) <= 5 for topic in ALL)


@pytest.mark.parametrize(("topic", "message"), EVERY)
def test_a_golden_message_survives_a_round_trip(topic, message):
    event = topic.payload.model_validate_json(message.value)
    assert event.model_dump_json().encode() == message.value


@pytest.mark.parametrize(("topic", "message"), EVERY)
def test_a_field_of_tomorrow_is_ignored(topic, message):
    tomorrow = json.dumps({"field_of_tomorrow": {"any": ["thing"]}} | message.fields).encode()
    assert topic.payload.model_validate_json(tomorrow) == topic.payload.model_validate_json(message.value)


@pytest.mark.parametrize(("topic", "message"), EVERY)
def test_a_golden_message_is_on_its_partition(topic, message):
    event: Any = decode_event(message, topic.payload, DEFAULT_PARTITIONS)
    assert event.application_id == message.key.decode()


@pytest.mark.parametrize("message", of_topic(APPLICATIONS_SUBMITTED), ids=lambda message: message.name)
def test_intake_asks_or_decides_as_recorded(message):
    """The recorded request may be of a later attempt; all else is what the submission leads to."""
    sent = Sent(*effects_of(intake().on_record(message.record, {})).publish[0])
    if sent.topic == APPLICATIONS_DECIDED.name:
        assert sent.value == golden(APPLICATIONS_DECIDED, message.name).value
        return
    recorded = DocumentsRequested.model_validate_json(golden(DOCUMENTS_REQUESTED, message.name).value)
    asked = DocumentsRequested.model_validate_json(sent.value or b"")
    book = RuleBook.of(load_domain(), 3)
    submitted_at = ApplicationSubmitted.model_validate_json(message.value).submitted_at
    at_attempt = {"attempt": recorded.attempt, "as_of": book.as_of(submitted_at, recorded.attempt)}
    assert asked.model_copy(update=at_attempt) == recorded


@pytest.mark.parametrize("message", of_topic(DOCUMENTS_REQUESTED), ids=lambda message: message.name)
def test_the_mock_answers_every_recorded_request(message):
    request = decode_event(message, DocumentsRequested, DEFAULT_PARTITIONS)
    value, _, _ = respond(request, Vneid(Registry.of(load_domain()), load_plan("calm"), 0))
    provided = DocumentsProvided.model_validate_json(value)
    assert (provided.application_id, provided.attempt) == (request.application_id, request.attempt)
    assert provided.context == request.context
    assert [answer.component for answer in provided.answers] == [one.component for one in request.documents]


@pytest.mark.parametrize("name", ASKED)
def test_intake_decides_a_recorded_reply_as_recorded(name):
    sent = Sent(*effects_of(intake().on_record(golden(DOCUMENTS_PROVIDED, name).record, {})).publish[0])
    assert sent.value == golden(APPLICATIONS_DECIDED, name).value


@pytest.mark.parametrize("name", ASKED)
def test_a_recorded_reply_asks_for_the_recorded_correction(name):
    _, *rest = effects_of(intake().on_record(golden(DOCUMENTS_PROVIDED, name).record, {})).publish
    recorded = [message.value for message in of_topic(CORRECTIONS_REQUESTED) if message.name == name]
    assert [(sent[0], sent[2]) for sent in rest] == [(CORRECTIONS_REQUESTED.name, value) for value in recorded]


@pytest.mark.parametrize("message", of_topic(CORRECTIONS_REQUESTED), ids=lambda message: message.name)
def test_the_owners_take_every_recorded_correction(message):
    handlers = VneidHandlers(Registry.of(load_domain()), PlanState(load_plan("calm"), 0), partitions=DEFAULT_PARTITIONS)
    assert handlers.on_record(message.record, {}) == NOTHING


@pytest.mark.parametrize("message", of_topic(APPLICATIONS_DECIDED), ids=lambda message: message.name)
def test_scoring_reads_every_recorded_outcome(message):
    decided = decode(message, DEFAULT_PARTITIONS)
    event = ApplicationDecided.model_validate_json(message.value)
    assert (decided.application_id, decided.revision) == (event.application_id, event.revision)


def test_a_citizens_number_is_where_it_may_be_only():
    numbers = {message.fields["citizen_number"] for message in of_topic(APPLICATIONS_SUBMITTED)}
    assert len(numbers) == len(of_topic(APPLICATIONS_SUBMITTED))
    for topic, message in every():
        found = any(number.encode() in message.value for number in numbers)
        assert found == topic.personal_data
