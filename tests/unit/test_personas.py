"""The people of `paperless submit --persona`: each application is valid, and comes to what its story promises."""

import pytest

from contracts.events import ApplicationSubmitted
from contracts.records import short_digest
from domain import load_domain
from paperless.traffic.personas import PersonaError, persona, personas
from services.intake.context import facts_of
from services.intake.core import RuleBook, decide, look_ups
from services.portal.filing import read_filing
from services.portal.identity import fresh_id
from services.vneid_mock.core import Vneid, final_answers
from services.vneid_mock.plan_files import load_plan
from services.vneid_mock.registry import PERSONAS, Registry

ATTEMPTS = 3
BOOK = RuleBook.of(load_domain(), ATTEMPTS)
REGISTRY = Registry.of(load_domain())


def submission_of(name: str) -> ApplicationSubmitted:
    body = ApplicationSubmitted.model_construct(**persona(name).application).model_dump_json(warnings=False).encode()
    headers = {"content-type": "application/json"}
    return read_filing(headers, body, BOOK.submissions, lambda: fresh_id(1_760_000_000_000, 1)).application


@pytest.mark.parametrize("plan", ["calm", "rough"])
@pytest.mark.parametrize("name", personas())
def test_a_persona_comes_to_what_is_promised_under_every_plan(name, plan):
    submitted = submission_of(name)
    facts = facts_of(submitted, short_digest(b""))
    vneid = Vneid(REGISTRY, load_plan(plan), 7)
    answers = final_answers(submitted, look_ups(facts, BOOK), ATTEMPTS, vneid)
    decision = decide(facts, answers, BOOK)
    assert decision.outcome in persona(name).expects
    assert decision.presumed == persona(name).presumed


def test_personas_are_invented():
    for someone in personas().values():
        assert someone.application["citizen_number"] in PERSONAS


def test_there_is_a_persona_for_every_outcome():
    outcomes = {outcome for someone in personas().values() for outcome in someone.expects}
    assert outcomes == {"end_to_end", "partly_online", "on_paper", "stopped", "rejected"}


def test_an_unknown_persona_lists_those_that_there_are():
    with pytest.raises(PersonaError, match=r"no persona 'nobody'; there are: birth \(Nguyễn Thị Thu Hà"):
        persona("nobody")
