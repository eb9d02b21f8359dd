"""The final outcome does not depend on timing: rules 1, 2 and 4 of deciding without a database.

Those that need the whole flow are in tests/cluster/test_rules.py.
"""

import json
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from contracts.events import ApplicationSubmitted, DocumentAnswer, DocumentsProvided, DocumentsRequested
from services.intake.context import SubmissionFacts, facts_of
from services.intake.core import answers_of, decide, look_ups
from services.vneid_mock.core import Vneid, respond
from services.vneid_mock.faults import FaultPlan
from tests.support.filings import book, filed, registry
from tests.support.vneid_strategies import plans, requests

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


# --- Rule 4: an outcome's content is a function of the submission and the set of answers.


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
