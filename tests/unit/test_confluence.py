"""The final outcome does not depend on timing: the five rules of deciding without a database."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.events import ApplicationSubmitted, DocumentAnswer, DocumentsProvided, DocumentsRequested
from services.intake.context import SubmissionFacts, facts_of
from services.intake.core import answers_of, decide, look_ups
from services.scoring.rollup.outcome import decode
from services.scoring.rollup.rollup import Rollup
from services.vneid_mock.core import Vneid, respond
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.plan_files import named_plan
from tests.support.confluence_filings import (
    ATTEMPTS,
    HARSH,
    SILENT,
    VARIANTS,
    Submitted,
    book,
    filed,
    registry,
    submitted,
    variants,
)
from tests.support.confluence_world import (
    ACTIONS,
    DECIDED,
    PARTITIONS,
    REQUESTED,
    SUBMITTED,
    Step,
    World,
    assert_equal_knowledge_gives_equal_bytes,
    drawn_script,
    drawn_world,
)
from tests.support.vneid_strategies import plans, requests

steps = st.builds(
    Step,
    st.sampled_from(tuple(ACTIONS)),
    st.integers(0, PARTITIONS - 1),
    st.integers(1, 12),
    st.integers(0, 3),
)
plans_of_all_kinds = st.sampled_from([HARSH, SILENT, named_plan("rough"), named_plan("calm")]) | plans()


@st.composite
def submissions(draw: st.DrawFn) -> list[Submitted]:
    """A few citizens with something to prove: ordinary ones, personas, two filings under one id, broken records."""
    events = filed(draw(st.integers(0, 2)))
    chosen = draw(
        st.lists(st.tuples(st.integers(0, len(events) - 1), st.integers(0, VARIANTS - 1)), min_size=1, max_size=8)
    )
    return [one for place, kind in chosen for one in variants(events[place], kind)]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(submissions(), plans_of_all_kinds, st.integers(0, 3), st.lists(steps, max_size=60))
def test_live_sums_recount_and_oracle_agree_whatever_happens(filings, plan, seed, script):
    world = World(filings, plan, seed)
    world.play(script)
    world.finish()
    world.check()
    assert world.late_readers == []


@pytest.mark.parametrize("seed", range(6))
def test_long_histories_with_every_mishap_agree(seed: int):
    world = drawn_world(seed)
    world.play(drawn_script(seed, 600))
    world.finish()
    world.check()
    assert world.late_readers == []


def test_the_long_histories_are_hard_ones():
    """Re-asks, presumed outcomes that are overruled, and repeats all occur: else the tests above say little."""
    world = drawn_world(1)
    world.play(drawn_script(1, 600))
    world.finish()
    attempts = [DocumentsRequested.model_validate_json(r.value or b"").attempt for r in world.log.all_of(REQUESTED)]
    counters = world.rollup.snapshot().counters
    assert set(attempts) == set(range(1, ATTEMPTS + 1))
    assert counters["overruled"] > 3
    assert counters["ignored_equal"] > 3
    assert counters["conflicts"] > 0
    assert len(world.dead_letters(SUBMITTED)) > 0


# --- Rule 1: found, missing, mismatch and refused are answers; unreachable is the absence of one.


def facts_with_proofs(seed: int) -> list[tuple[SubmissionFacts, tuple[str, ...]]]:
    found = []
    for event in filed(seed):
        application = ApplicationSubmitted.model_validate_json(json.dumps(event))
        facts = facts_of(application, "0" * 16)
        slugs = look_ups(facts, book())
        if slugs:
            found.append((facts, slugs))
    return found


@given(st.data(), st.integers(0, 2))
def test_rule_1_only_a_silent_database_leaves_a_case_presumed(data, seed):
    facts, slugs = data.draw(st.sampled_from(facts_with_proofs(seed)))
    procedure = book().domain.procedures[facts.procedure]
    answers = {
        slug: DocumentAnswer(
            slug,
            data.draw(st.sampled_from(["found", "missing", "mismatch", "refused"])),
            procedure.components[slug].databases[0],
            facts.submitted_at,
        )
        for slug in slugs
    }
    complete = decide(facts, answers, book())
    assert (complete.presumed, complete.revision) == (False, len(slugs))
    assert "unreachable" not in {proof.cause for proof in complete.components}
    silent = data.draw(st.sampled_from(slugs))
    partial = decide(facts, {slug: answers[slug] for slug in slugs if slug != silent}, book())
    assert (partial.presumed, partial.revision) == (True, len(slugs) - 1)
    assert {proof.cause for proof in partial.components if proof.component == silent} == {"unreachable"}


@given(requests(), plans(), st.integers(0, 9), st.integers(1, 5))
def test_rule_1_a_reply_never_answers_unreachable(request, plan, seed, attempt):
    given_answers = reply_to(request, attempt, plan, seed)
    assert {answered.answer for answered in given_answers.values()} <= {"found", "missing", "mismatch", "refused"}


# --- Rule 2: fates are monotone, and an answer does not depend on the attempt that fetched it.


def reply_to(request: DocumentsRequested, attempt: int, plan: FaultPlan, seed: int) -> Mapping[str, DocumentAnswer]:
    as_of = request.as_of + (attempt - 1) * book().look_up_timeout
    asked = request.model_copy(update={"attempt": attempt, "as_of": as_of})
    return answers_of(DocumentsProvided.model_validate_json(respond(asked, Vneid(registry(), plan, seed))[0]))


@given(requests(), plans(), st.integers(0, 9), st.integers(1, 4))
def test_rule_2_a_later_attempt_knows_the_same_and_more(request, plan, seed, attempt):
    before, after = reply_to(request, attempt, plan, seed), reply_to(request, attempt + 1, plan, seed)
    assert before.items() <= after.items()


# --- Rule 3: an incomplete reply and silence ask again, up to the attempt limit.


def asked_attempts(plan: FaultPlan, seed: int = 1) -> dict[bytes, list[int]]:
    """Attempts by application, of a flow in which nothing goes wrong but what the plan says."""
    world = World([submitted(event) for event in filed(0)[:30]], plan, seed)
    world.finish()
    world.check()
    asked: dict[bytes, list[int]] = {}
    for record in world.log.all_of(REQUESTED):
        asked.setdefault(record.key or b"", []).append(json.loads(record.value or b"")["attempt"])
    return asked


@pytest.mark.parametrize("share", ["never_answer_share", "silent_share"])
def test_rule_3_who_gets_no_answer_is_asked_up_to_the_limit(share: str):
    asked = asked_attempts(FaultPlan.model_validate({"name": "none", share: 1.0}))
    assert len(asked) > 20
    assert all(attempts == list(range(1, ATTEMPTS + 1)) for attempts in asked.values())


def test_rule_3_who_is_answered_is_not_asked_again():
    asked = asked_attempts(named_plan("calm"))
    assert len(asked) > 20
    assert all(attempts == [1] for attempts in asked.values())


def test_rule_3_a_late_answer_takes_as_many_attempts_as_it_needs():
    asked = asked_attempts(FaultPlan(name="late", late_answer_share=1.0))
    assert len(asked) > 20
    assert all(attempts == [1, 2] for attempts in asked.values())


# --- Rule 4: an outcome's content is a function of the submission and the set of answers.


@given(submissions(), plans_of_all_kinds, st.integers(0, 3), st.lists(steps, max_size=40))
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_rule_4_equal_knowledge_gives_equal_bytes(filings, plan, seed, script):
    world = World(filings, plan, seed)
    world.play(script)
    world.finish()
    assert_equal_knowledge_gives_equal_bytes(world)


@given(st.data(), st.integers(0, 2), st.integers(0, 9))
def test_rule_4_the_order_of_answers_does_not_matter(data, seed, shuffle):
    facts, slugs = data.draw(st.sampled_from(facts_with_proofs(seed)))
    procedure = book().domain.procedures[facts.procedure]
    known = [
        (
            slug,
            DocumentAnswer(
                slug, "found", procedure.components[slug].databases[0], book().as_of(facts.submitted_at, 1 + place % 3)
            ),
        )
        for place, slug in enumerate(slugs)
    ]
    assert decide(facts, dict(data.draw(st.permutations(known))), book()) == decide(facts, dict(known), book())


# --- Rule 5: an outcome that knows more overrules one that knows less, in whatever order they arrive.


@pytest.fixture(scope="module")
def outcomes() -> list[tuple[int, Any]]:
    world = drawn_world(1)
    world.play(drawn_script(1, 600))
    world.finish()
    return [(record.partition, decode(record, PARTITIONS)) for record in world.log.all_of(DECIDED)]


@given(st.data())
def test_rule_5_outcomes_in_any_order_and_repeated_give_one_sum(outcomes, data):
    order = data.draw(st.permutations(range(len(outcomes))))
    repeats = data.draw(st.lists(st.sampled_from(range(len(outcomes))), max_size=20))
    one, other = Rollup(), Rollup()
    one.apply_all(outcomes)
    cut = data.draw(st.integers(0, len(order)))
    for part in (order[:cut], repeats, order[cut:]):
        other.apply_all([outcomes[place] for place in part])
    assert (one.cells, one.fingerprints) == (other.cells, other.fingerprints)


def test_rule_5_the_best_informed_outcome_stands(outcomes):
    rollup = Rollup()
    rollup.apply_all(outcomes)
    best: dict[str, int] = {}
    for _, outcome in outcomes:
        best[outcome.application_id] = max(best.get(outcome.application_id, 0), outcome.revision)
    assert {name: rollup.revision(name) for name in best} == best
