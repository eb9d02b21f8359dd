"""The final outcome does not depend on timing: the rules of deciding without a database, in whole histories."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED, DOCUMENTS_REQUESTED
from services.scoring.rollup.outcome import ApplicationOutcome, decode
from services.scoring.rollup.rollup import Rollup
from services.vneid_mock.registry import PERSONAS
from tests.cluster.batches import played_apart
from tests.cluster.history import PARTITIONS, History, Wish
from tests.cluster.mishaps import MOST
from tests.support.filings import ATTEMPTS

Outcomes = list[tuple[int, ApplicationOutcome]]
ALL_MISHAPS = frozenset(range(MOST))


def asked_attempts(histories: Iterable[History]) -> list[list[int]]:
    """Attempts in the order of asking, of each submission of a citizen whom the plan's faults meet."""
    asked: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for history in histories:
        for record in history.records[DOCUMENTS_REQUESTED.name]:
            request = json.loads(record.value or b"")
            if request["citizen_number"] not in PERSONAS:
                asked[request["application_id"], request["context"]].append(request["attempt"])
    return list(asked.values())


PLANS = ("never", "mute", "calm", "late")


@pytest.fixture(scope="module")
def played() -> Mapping[str, History]:
    """Two histories with all that goes wrong in them, and by fault plan some in which nothing else does."""
    calm = {plan: Wish(seed=5, applications=20, without=ALL_MISHAPS, plan=plan) for plan in PLANS}
    hard = {name: Wish(seed=seed, plan="harsh") for name, seed in (("hard", 0), ("harder", 3))}
    wishes = {**calm, **hard}
    return dict(zip(wishes, played_apart(wishes.values()), strict=True))


def test_all_holds_in_all_of_them(played):
    assert {name: history.violations for name, history in played.items() if history.violations} == {}


# --- Rule 3: an incomplete reply and silence ask again, up to the attempt limit.


@pytest.mark.parametrize("plan", ["never", "mute"])
def test_rule_3_who_gets_no_answer_is_asked_up_to_the_limit(plan: str, played):
    asked = asked_attempts([played[plan]])
    assert len(asked) > 10
    assert {tuple(attempts) for attempts in asked} == {tuple(range(1, ATTEMPTS + 1))}


@pytest.mark.parametrize(("plan", "attempts"), [("calm", (1,)), ("late", (1, 2))])
def test_rule_3_who_is_answered_is_not_asked_again(plan: str, attempts: tuple[int, ...], played):
    asked = asked_attempts([played[plan]])
    assert len(asked) > 10
    assert {tuple(each) for each in asked} == {attempts}


# --- Rule 5: an outcome that knows more overrules one that knows less, in whatever order they arrive.


def outcomes_of(history: History) -> Outcomes:
    return [(record.partition, decode(record, PARTITIONS)) for record in history.records[APPLICATIONS_DECIDED.name]]


@pytest.fixture(scope="module")
def outcomes(played) -> Outcomes:
    return outcomes_of(played["hard"])


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
    best = Counter[str]()
    for _, outcome in outcomes:
        best[outcome.application_id] = max(best[outcome.application_id], outcome.revision)
    assert {name: rollup.revision(name) for name in best} == best


def test_the_histories_are_hard_ones(played):
    """Re-asks, presumed outcomes that are overruled, repeats, and filings that are refused or moved all occur."""
    histories, counters = [played["hard"], played["harder"]], Counter[str]()
    for history in histories:
        rollup = Rollup()
        rollup.apply_all(outcomes_of(history))
        counters += rollup.counters
    assert {number for attempts in asked_attempts(histories) for number in attempts} == set(range(1, ATTEMPTS + 1))
    assert min(counters[name] for name in ("overruled", "ignored_equal", "conflicts")) > 0, counters
    topic = APPLICATIONS_SUBMITTED
    assert all(history.records[topic.dead_letter("intake")] for history in histories)
    assert all(len(history.records[topic.name]) > history.submitted for history in histories)
