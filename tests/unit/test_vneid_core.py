"""Replies: whatever the plan, what a caller learns in the end does not depend on timing."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Reject
from contracts.events import ApplicationSubmitted, DocumentAnswer, DocumentsProvided, DocumentsRequested
from domain import VN, load_domain
from services.vneid_mock.core import Vneid, final_answers, respond
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.plan_files import load_plan
from services.vneid_mock.registry import PERSONAS, number_of
from tests.support.vneid_strategies import REGISTRY, plans, requests, seeds

CALM = load_plan("calm")
TIMEOUT = timedelta(seconds=load_domain().number("lookup.timeout_s"))
AT = datetime(2025, 10, 8, 9, 0, tzinfo=VN)


def request_of(**fields: object) -> DocumentsRequested:
    """A first attempt for two components of permanent residence."""
    procedure = load_domain().procedures["1.004222"]
    chosen = [component for component in procedure.components.values() if component.replaceable][:2]
    return DocumentsRequested.model_validate(
        {
            "application_id": "0199bd6a-0000-7000-8000-000000000001",
            "citizen_number": number_of("all_documents_found"),
            "procedure": procedure.code,
            "province": "01",
            "consent": True,
            "attempt": 1,
            "as_of": AT,
            "documents": tuple({"component": one.slug, "databases": one.databases} for one in chosen),
            "context": "sealed",
            **fields,
        }
    )


def again(request: DocumentsRequested, attempt: int) -> DocumentsRequested:
    """The same request at a later attempt, as intake would date it."""
    return request.model_copy(
        update={"attempt": attempt, "as_of": request.as_of + (attempt - request.attempt) * TIMEOUT}
    )


def learned(request: DocumentsRequested, plan: FaultPlan, seed: int, attempts: int) -> dict[str, DocumentAnswer]:
    """All that intake learns of the application that this is the first request for."""
    fields = request.model_dump(exclude={"documents", "context", "attempt", "as_of"})
    submitted = ApplicationSubmitted.model_construct(submitted_at=request.as_of, **fields)
    slugs = [document.component for document in request.documents]
    return final_answers(submitted, slugs, attempts, Vneid(REGISTRY, plan, seed))


def answers(request: DocumentsRequested, plan: FaultPlan = CALM, seed: int = 1) -> tuple[DocumentAnswer, ...]:
    return DocumentsProvided.model_validate_json(respond(request, Vneid(REGISTRY, plan, seed))[0]).answers


@given(requests(), plans(), seeds)
def test_a_later_attempt_forgets_and_changes_nothing(request_, plan, seed):
    known: tuple[DocumentAnswer, ...] = ()
    for attempt in range(1, 6):
        later = answers(again(request_, attempt), plan, seed)
        assert set(known) <= set(later)
        known = later


@given(requests(), plans(), seeds, st.integers(0, 5))
def test_final_answers_are_all_that_delivered_replies_told(request_, plan, seed, attempts):
    told: dict[str, DocumentAnswer] = {}
    for attempt in range(1, attempts + 1):
        value, delays, _ = respond(again(request_, attempt), Vneid(REGISTRY, plan, seed))
        if delays:
            told |= {one.component: one for one in DocumentsProvided.model_validate_json(value).answers}
    assert learned(request_, plan, seed, attempts) == told


@pytest.mark.parametrize(("silent", "count"), [(0.0, 2), (1.0, 0)])
def test_nothing_is_learned_from_a_vneid_that_stays_silent(silent, count):
    request = request_of(citizen_number="001099000001")
    plan = FaultPlan(name="silence", silent_share=silent)
    assert len(learned(request, plan, seed=1, attempts=3)) == count


def test_a_silent_database_silences_only_applications_that_need_it():
    request = request_of(citizen_number="001099000001")
    starts = {document.databases[0] for document in request.documents}
    for database in load_domain().databases:
        silence = {"match": {"database": database}, "set": {"silent_share": 1.0}}
        plan = FaultPlan.model_validate({"name": "one", "overrides": [silence]})
        assert bool(respond(request, Vneid(REGISTRY, plan, 1))[1]) == (database not in starts)


@given(requests(), plans(), seeds, st.integers(1, 5))
def test_a_reply_is_exactly_what_the_contract_writes(request_, plan, seed, attempt):
    value = respond(again(request_, attempt), Vneid(REGISTRY, plan, seed))[0]
    reply = DocumentsProvided.model_validate_json(value)
    assert reply.model_dump_json().encode() == value
    assert (reply.application_id, reply.attempt, reply.context) == (
        request_.application_id,
        attempt,
        request_.context,
    )


@given(requests(), plans(), seeds)
def test_an_answer_is_dated_between_its_question_and_the_time_out(request_, plan, seed):
    for attempt in (1, 2, 3):
        asked_at = again(request_, attempt).as_of
        for one in answers(again(request_, attempt), plan, seed):
            assert request_.as_of < one.at < asked_at + TIMEOUT


@given(requests(), plans(), seeds)
def test_without_consent_every_answer_is_a_refusal(request_, plan, seed):
    refused = request_.model_copy(update={"consent": False})
    databases = {document.component: document.databases[0] for document in request_.documents}
    for one in answers(again(refused, 3), plan, seed):
        assert (one.answer, one.database) == ("refused", databases[one.component])


@given(requests(), plans(), seeds)
def test_consent_refused_for_a_component_leaves_the_others_as_they_are(request_, plan, seed):
    slug, first = request_.documents[0].component, request_.documents[0].databases[0]
    usual = request_.model_copy(update={"consent": True, "consent_refused": ()})
    given_, refused = (
        {one.component: one for one in answers(again(each, 3), plan, seed)}
        for each in (usual, usual.model_copy(update={"consent_refused": (slug,)}))
    )
    assert refused.keys() == given_.keys()
    assert {key: one for key, one in refused.items() if key != slug} == {
        key: one for key, one in given_.items() if key != slug
    }
    if slug in refused:
        assert (refused[slug].answer, refused[slug].database) == ("refused", first)


def test_a_late_answer_is_dated_one_time_out_later():
    late = FaultPlan(name="late", late_answer_share=1.0)
    ordinary = request_of(citizen_number="001099000001")
    assert answers(ordinary, late) == ()
    first, second = answers(again(ordinary, 2), CALM), answers(again(ordinary, 2), late)
    assert [one.at + TIMEOUT for one in first] == [one.at for one in second]


def test_look_ups_take_the_time_that_the_parameters_state():
    waits = sorted(
        (one.at - AT).total_seconds()
        for number in range(800)
        for one in answers(request_of(citizen_number=f"001099{number:06}"))
    )
    assert waits[len(waits) // 2] == 1
    assert 0.97 < sum(wait <= load_domain().number("lookup.latency_p99_s") for wait in waits) / len(waits) < 1
    assert all(wait == int(wait) for wait in waits)


PROMISED = {
    "all_missing": [["missing"] * 2] * 3,
    "record_mismatch": [["mismatch"] * 2] * 3,
    "found_from_the_second_attempt": [[], ["found"] * 2, ["found"] * 2],
    "found_from_the_third_attempt": [[], [], ["found"] * 2],
    "never_answers": [[], [], []],
    "partial_first": [["found"], ["found"] * 2, ["found"] * 2],
}


@pytest.mark.parametrize("name", [persona.name for persona in PERSONAS.values()])
def test_a_persona_gets_the_answers_it_was_promised(name):
    request = request_of(citizen_number=number_of(name))
    rough = load_plan("rough")
    told = [[one.answer for one in answers(again(request, attempt), rough)] for attempt in (1, 2, 3)]
    assert told == PROMISED.get(name, [["found"] * 2] * 3)


def test_no_components_are_known_when_none_are_asked_for():
    assert learned(request_of().model_copy(update={"documents": ()}), CALM, seed=1, attempts=3) == {}


GOOD = {"component": request_of().documents[0].component, "databases": request_of().documents[0].databases}


@pytest.mark.parametrize(
    ("fields", "reason", "detail"),
    [
        ({"procedure": "9.999999"}, "unknown_procedure", "9.999999"),
        ({"documents": ({"component": "nope", "databases": ("dan_cu",)},)}, "unknown_component", "1.004222"),
        ({"documents": ({**GOOD, "databases": ("gplx",)},)}, "databases_not_of_component", "databases gplx"),
        ({"documents": (GOOD, GOOD)}, "duplicate_component", "twice"),
        ({"as_of": AT.replace(year=1)}, "event_time_out_of_range", "0001-10-08"),
        ({"as_of": AT.replace(year=9999)}, "event_time_out_of_range", "9999-10-08"),
    ],
)
def test_a_request_that_no_retry_can_mend_is_rejected(fields, reason, detail):
    with pytest.raises(Reject) as caught:
        respond(request_of(**fields), Vneid(REGISTRY, CALM, 1))
    assert caught.value.reason == reason
    assert detail in caught.value.detail
