"""A fault plan that is accepted works, whatever its values; one that is refused names the key."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import DocumentsRequested
from services.vneid_mock.core import Vneid, respond
from services.vneid_mock.faults import FaultPlan, Faults, deliveries
from services.vneid_mock.plan_files import PlanError, plan_of
from tests.support.vneid_strategies import DATABASES, REGISTRY, requests, seeds

LONGEST_S = 600.0
# Numbers as people write them, and those at which arithmetic breaks.
SMALL = [0.0, -0.0, 5e-324, 1e-300, 2.0**-33, 1e-9, 0.25, 1 - 2.0**-53, 1.0]
BROKEN = [-1.0, -5e-324, LONGEST_S + 1, 1e300, math.inf, -math.inf, math.nan, None, True, "1", 10**400]
shares = st.sampled_from(SMALL) | st.floats(0, 1)
seconds = shares | st.sampled_from([1.5, LONGEST_S]) | st.floats(0, LONGEST_S)
fields = {name: shares if name.endswith("_share") else seconds for name in Faults.model_fields}
usual = st.fixed_dictionaries({}, optional=fields)
matches = st.fixed_dictionaries(
    {}, optional={"database": st.sampled_from(DATABASES), "province": st.sampled_from(["01", "79"])}
)
written = st.builds(
    lambda faults, **others: {"name": "written", **others, **faults},
    usual,
    unreachable=st.dictionaries(st.sampled_from(DATABASES), shares, max_size=2),
    overrides=st.lists(st.fixed_dictionaries({"match": matches, "set": usual}), max_size=2),
)
broken = st.builds(
    lambda plan, key, value: {**plan, key: value},
    written,
    st.sampled_from([*FaultPlan.model_fields, "no_such_key"]),
    st.sampled_from(BROKEN) | st.text(max_size=2) | st.lists(st.none(), min_size=1, max_size=1),
)
SUBJECT = DocumentsRequested.model_construct(  # type: ignore[call-arg]  # what the faults read, and no more
    application_id="0199bd6a-0000-7000-8000-000000000001", citizen_number="001099000001", province="01"
)


def accepted(given_fields: dict[str, Any]) -> FaultPlan | None:
    """The plan of these fields, or none; then each problem names one of them, or the plan as a whole."""
    refusal: PlanError | None = None
    try:
        return plan_of(given_fields, "written")
    except PlanError as error:
        refusal = error
    assert all(problem.key.partition(".")[0] in {"", *given_fields} for problem in refusal.problems), refusal
    assert all(problem.what and problem.remedy for problem in refusal.problems)
    return None


@given(written | broken, st.integers(0, 2**32), st.integers(1, 9))
def test_a_plan_that_is_accepted_delivers_within_its_limits(given_fields, seed, attempt):
    plan = accepted(given_fields)
    if plan is None:
        return
    for number in range(20):
        delays = deliveries(plan, seed + number, SUBJECT, attempt, [(1, DATABASES[0])])
        assert all(0 <= delay <= 2 * LONGEST_S for delay in delays)
        assert list(delays) == sorted(delays)


@given(st.fixed_dictionaries({"slow_delay_s": seconds, "slow_delay_max_s": seconds}), st.integers(0, 2**32))
def test_every_slow_reply_comes_within_the_limit_of_its_plan(given_fields, seed):
    median, limit = sorted(given_fields.values())
    plan = FaultPlan(name="slow", slow_share=1.0, slow_delay_s=median, slow_delay_max_s=limit)
    delays = [delay for number in range(20) for delay in deliveries(plan, seed + number, SUBJECT, 1)]
    assert len(delays) == 20
    assert all(0 <= delay <= limit for delay in delays)


@pytest.mark.parametrize("median_s", [5e-324, 1e-300, 1e-9])
def test_a_median_far_below_the_limit_overflows_nothing(median_s):
    plan = FaultPlan(name="slow", slow_share=1.0, slow_delay_s=median_s, slow_delay_max_s=LONGEST_S)
    delays = [deliveries(plan, seed, SUBJECT, 1)[0] for seed in range(2_000)]
    assert 0.4 < sum(delay <= median_s for delay in delays) / len(delays) < 0.6
    assert 0.002 < sum(delay == LONGEST_S for delay in delays) / len(delays) < 0.03


@given(written, seeds, requests())
def test_a_plan_that_is_accepted_answers_and_survives_its_own_json(given_fields, seed, request):
    plan = accepted(given_fields)
    if plan is not None:
        respond(request, Vneid(REGISTRY, plan, seed))
        assert FaultPlan.model_validate_json(plan.model_dump_json()) == plan
