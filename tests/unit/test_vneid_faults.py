"""The fault plan: fates are monotone, promises hold, shares are what they say."""

from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.events import DocumentsRequested
from domain import load_domain
from services.vneid_mock.faults import FaultPlan, Faults, Subject, answers_from, deliveries
from services.vneid_mock.plan_files import load_plan, named_plans
from services.vneid_mock.registry import PERSONAS, number_of
from tests.support.vneid_strategies import plans, seeds, starts, subjects

SUBJECT = DocumentsRequested.model_construct(  # type: ignore[call-arg]  # what the faults read, and no more
    application_id="0199bd6a-0000-7000-8000-000000000001", citizen_number="001099000001", province="01"
)


def subjects_of(count: int, **fields: str) -> list[Subject]:
    return [
        SUBJECT.model_copy(update={"application_id": f"0199bd6a-0000-7000-8000-{number:012x}", **fields})
        for number in range(count)
    ]


@given(plans(), seeds, subjects, starts)
def test_a_component_is_answered_from_one_attempt_or_never(plan, seed, subject, asked):
    fates = answers_from(plan, seed, subject, asked)
    assert len(fates) == len(asked)
    assert set(fates) <= {1, 2, 3, None}


@given(plans(), seeds, subjects, starts)
def test_a_fate_does_not_depend_on_what_else_is_asked(plan, seed, subject, asked):
    # `partial_first` promises by the last component of those asked for, so it is apart.
    assume(subject.citizen_number != number_of("partial_first"))
    together = answers_from(plan, seed, subject, asked)
    assert together == [answers_from(plan, seed, subject, [one])[0] for one in asked]


@given(seeds, subjects, starts)
def test_a_harsher_plan_spares_nobody_whom_a_gentler_one_hits(seed, subject, asked):
    never = 99
    mild, rough = (answers_from(load_plan(name), seed, subject, asked) for name in ("mild", "rough"))
    assert all((hard or never) >= (soft or never) for soft, hard in zip(mild, rough, strict=True))


def test_shares_of_fates_are_those_of_the_plan():
    rough = load_plan("rough")
    fates = Counter(answers_from(rough, 3, subject, [(1, "dat_dai")])[0] for subject in subjects_of(6000))
    assert fates[None] / 6000 == pytest.approx(0.06, abs=0.01)
    assert fates[3] / 6000 == pytest.approx(0.03, abs=0.01)
    assert fates[2] / 6000 == pytest.approx(0.1, abs=0.015)


def test_components_of_one_application_have_fates_of_their_own():
    half = FaultPlan(name="half-late", late_answer_share=0.5)
    pairs = [tuple(answers_from(half, 3, subject, [(1, "dan_cu"), (2, "dan_cu")])) for subject in subjects_of(400)]
    assert all(count / 400 == pytest.approx(0.25, abs=0.08) for count in Counter(pairs).values())
    assert len(set(pairs)) == 4


def test_an_unreachable_database_hits_only_look_ups_that_start_there():
    plan = FaultPlan(name="land-down", unreachable={"dat_dai": 1.0})
    assert answers_from(plan, 1, SUBJECT, [(1, "dat_dai"), (2, "dan_cu")]) == [None, 1]


def test_shares_of_deliveries_are_those_of_the_plan():
    rough = load_plan("rough")
    replies = [deliveries(rough, 3, subject, 1) for subject in subjects_of(6000)]
    silent = sum(not reply for reply in replies)
    late = sum(bool(reply) and reply[0] > 0 for reply in replies)
    assert silent / 6000 == pytest.approx(0.03, abs=0.01)
    assert late / 6000 == pytest.approx(0.11, abs=0.015)
    assert sum(len(reply) == 2 for reply in replies) / (6000 - silent) == pytest.approx(0.05, abs=0.01)


@given(plans(), seeds, subjects, st.integers(1, 99))
def test_no_reply_is_later_than_the_plan_allows(plan, seed, subject, attempt):
    assume(subject.citizen_number not in PERSONAS)
    layers = [plan, *(faults for _, faults in plan.layers)]
    longest = max(max(layer.slow_delay_max_s, layer.very_slow_delay_s) + layer.duplicate_gap_max_s for layer in layers)
    replies = deliveries(plan, seed, subject, attempt, [(1, "dan_cu")])
    assert len(replies) <= 2
    assert all(0 <= delay <= longest for delay in replies)
    assert list(replies) == sorted(replies)


def test_slow_replies_have_the_median_that_the_plan_states():
    slow = FaultPlan(name="slow", slow_share=1.0, slow_delay_s=1.0, slow_delay_max_s=6.0)
    delays = sorted(deliveries(slow, 5, subject, 1)[0] for subject in subjects_of(2001))
    assert delays[1000] == pytest.approx(1.0, rel=0.1)
    assert delays[-1] == 6.0


def test_each_attempt_is_delivered_anew():
    half = FaultPlan(name="half-silent", silent_share=0.5)
    silent = [not deliveries(half, 1, SUBJECT, attempt) for attempt in range(1, 40)]
    assert len(set(silent)) == 2


@pytest.mark.parametrize(
    "match", [{"database": "dat_dai"}, {"province": "79"}, {"citizen": "079"}, {"province": "79", "citizen": "07"}]
)
def test_an_override_falls_on_whom_it_names_only(match):
    plan = FaultPlan.model_validate(
        {"name": "one", "overrides": [{"match": match, "set": {"never_answer_share": 1.0, "silent_share": 1.0}}]}
    )
    hit = SUBJECT.model_copy(update={"province": "79", "citizen_number": "079099000001"})
    database = match.get("database", "dan_cu")
    assert answers_from(plan, 1, hit, [(1, database)]) == [None]
    assert deliveries(plan, 1, hit, 1, [(1, database)]) == ()
    assert answers_from(plan, 1, SUBJECT, [(1, "dan_cu")]) == [1]
    assert deliveries(plan, 1, SUBJECT, 1, [(1, "dan_cu")]) == (0.0,)


def test_the_first_override_that_fits_decides_alone():
    plan = FaultPlan.model_validate(
        {
            "name": "two",
            "late_answer_share": 1.0,
            "overrides": [
                {"match": {"province": "01"}, "set": {"slow_share": 0.5}},
                {"match": {"citizen": "001"}, "set": {"late_answer_share": 0.0}},
            ],
        }
    )
    assert answers_from(plan, 1, SUBJECT, [(1, "dan_cu")]) == [2]
    assert answers_from(plan, 1, SUBJECT.model_copy(update={"province": "79"}), [(1, "dan_cu")]) == [1]


WORST = FaultPlan(name="worst", never_answer_share=1.0, silent_share=1.0)
PROMISES = {
    "all_documents_found": ([1, 1], (0.0,), (0.0,)),
    "all_missing": ([1, 1], (0.0,), (0.0,)),
    "record_mismatch": ([1, 1], (0.0,), (0.0,)),
    "found_from_the_second_attempt": ([2, 2], (0.0,), (0.0,)),
    "found_from_the_third_attempt": ([3, 3], (0.0,), (0.0,)),
    "never_answers": ([None, None], (0.0,), (0.0,)),
    "slow_answer": ([1, 1], (3.0,), (3.0,)),
    "duplicate_reply": ([1, 1], (0.0, 0.4), (0.0, 0.4)),
    "partial_first": ([1, 2], (0.0,), (0.0,)),
    "silent_at_first": ([1, 1], (), (0.0,)),
}


@pytest.mark.parametrize("name", [persona.name for persona in PERSONAS.values()])
@pytest.mark.parametrize("plan", [load_plan("calm"), WORST], ids=["calm", "worst"])
def test_a_persona_keeps_its_promise_under_any_plan(name, plan):
    subject = SUBJECT.model_copy(update={"citizen_number": number_of(name)})
    fates, first, second = PROMISES[name]
    assert answers_from(plan, 1, subject, [(2, "dan_cu"), (5, "dat_dai")]) == fates
    assert deliveries(plan, 1, subject, 1) == first
    assert deliveries(plan, 1, subject, 2) == second


def test_no_real_citizen_can_have_a_personas_number():
    prefixes = {f"0{code}" for province in load_domain().provinces.values() for code in province.old_codes}
    assert all(number.startswith("999") and len(number) == 12 for number in PERSONAS)
    assert "999" not in prefixes


def test_an_unknown_persona_is_named_with_the_known_ones():
    with pytest.raises(KeyError, match=r"no persona 'nobody' \(known: all_documents_found, "):
        number_of("nobody")


def test_a_calm_vneid_never_misbehaves():
    calm = load_plan("calm")
    assert {getattr(calm, field) for field in Faults.model_fields} == {0.0}
    assert answers_from(calm, 1, SUBJECT, [(1, "dat_dai")]) == [1]
    assert deliveries(calm, 1, SUBJECT, 1) == (0.0,)


def test_named_plans_grow_harsher_in_every_share():
    calm, mild, rough = (named_plans()[name] for name in ("calm", "mild", "rough"))
    for field in Faults.model_fields:
        assert getattr(calm, field) <= getattr(mild, field) <= getattr(rough, field)
