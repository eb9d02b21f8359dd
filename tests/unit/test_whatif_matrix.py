"""Every lever setting, over the matrix: what the oracle decides, application by application."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import ApplicationSubmitted
from domain import DomainError, Procedure, load_domain, with_values
from paperless.population.arrivals import SimulatedDay
from paperless.population.population import SUPPOSED
from paperless.population.scenario import load_scenario, simulated_days
from paperless.population.shares import Shares
from paperless.whatif.drawing import matrix_of, stored
from paperless.whatif.evaluator import Evaluator
from paperless.whatif.levers import COLUMNS, LeverError, load_costs, load_levers
from paperless.whatif.matrix import ALL, assembled
from paperless.whatif.terms import World
from paperless.whatif.worlds import world_of
from services.intake.rules import Case
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.plan_files import named_plan
from tests.support.whatif import decided

DOMAIN, LEVERS = load_domain(), load_levers()
ATTEMPTS = int(DOMAIN.number("lookup.attempts"))
APPLICATIONS = 1_700
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from([0.0, 1.0]) if lever.whole else st.floats(0, 1, allow_nan=False)
        for name, lever in LEVERS.items()
    },
)
CLEANED = {"land_data", "other_data"}


@cache
def day_of(scenario: str = "national-day", seed: int = 1) -> SimulatedDay:
    return simulated_days(load_scenario(scenario, DOMAIN), DOMAIN, seed=seed, applications=APPLICATIONS)[0]


@cache
def evaluator_of(scenario: str = "national-day", seed: int = 1, plan: str = "rough") -> Evaluator:
    return Evaluator(matrix_of([day_of(scenario, seed)], named_plan(plan), ATTEMPTS))


def assert_as_decided(evaluator: Evaluator, world: World, plan: FaultPlan) -> None:
    evaluation = evaluator.evaluate(world)
    expected = dict(decided(world, plan))
    found = dict(zip(evaluator.matrix.keys.tolist(), evaluation.judgements(), strict=True))
    assert found == {key: (decision.outcome, decision.reasons) for key, decision in expected.items()}
    ended = dict(zip(evaluator.matrix.keys.tolist(), evaluation.end_to_end().tolist(), strict=True))
    assert ended == {key: decision.outcome == "end_to_end" for key, decision in expected.items()}


@settings(max_examples=8, deadline=None)
@given(SETTINGS, st.integers(1, 3), st.sampled_from(["mild", "rough"]))
def test_any_setting_comes_to_what_the_oracle_decides(setting: Mapping[str, float], seed: int, plan: str):
    """Over 10,000 applications of all procedures and both authorities, with their reasons."""
    world = world_of(day_of(seed=seed), setting, LEVERS)
    assert_as_decided(evaluator_of(seed=seed, plan=plan), world, named_plan(plan))


@pytest.mark.parametrize("scenario", ["quiet-sunday", "before-october", "twenty-five"])
def test_other_scenarios_come_to_what_the_oracle_decides(scenario: str):
    setting = {name: 1.0 if lever.whole else 0.5 for name, lever in LEVERS.items()}
    for world in (World(day_of(scenario)), world_of(day_of(scenario), setting, LEVERS)):
        assert_as_decided(evaluator_of(scenario), world, named_plan("rough"))


def test_every_procedure_and_both_authorities_are_among_them():
    evaluator = evaluator_of()
    assert {procedure.authority for procedure in day_of().procedures} == {"province", "ministry"}
    assert evaluator.matrix.counts.sum() == APPLICATIONS
    assert (evaluator.matrix.counts.sum(axis=1) > 0).sum() >= len(day_of().procedures) - 3


def test_every_lever_at_its_base_is_the_base():
    world = world_of(day_of(), dict.fromkeys(LEVERS, 0.0), LEVERS)
    assert world == World(day_of())
    usual = evaluator_of().evaluate(World(day_of()))
    assert (evaluator_of().evaluate(world).codes == usual.codes).all()


@settings(max_examples=30, deadline=None)
@given(SETTINGS, st.sampled_from(sorted(LEVERS)))
def test_a_lever_loses_nobody_but_whom_an_office_asks_anyway(setting: Mapping[str, float], name: str):
    """Cleaner data lower a rate in one way: an office that asks for what data prove finds more to ask for."""
    evaluator = evaluator_of()
    before = evaluator.evaluate(world_of(day_of(), {**setting, name: 0.0}, LEVERS)).end_to_end()
    after = evaluator.evaluate(world_of(day_of(), {**setting, name: 1.0}, LEVERS))
    lost = before & ~after.end_to_end()
    if name not in CLEANED:
        assert not lost.any()
    reasons = [each for each, is_lost in zip(after.judgements(), lost, strict=True) if is_lost]
    assert all({"paper_asked_anyway", "supplement_on_paper", "supplement_not_answered"} & {*why} for _, why in reasons)


def test_where_nobody_asks_anyway_cleaner_data_lose_nobody():
    evaluator = evaluator_of()
    lawful = {"nothing_asked_anyway": 1.0}
    before = evaluator.evaluate(world_of(day_of(), lawful, LEVERS)).end_to_end()
    after = evaluator.evaluate(world_of(day_of(), {**lawful, **dict.fromkeys(CLEANED, 1.0)}, LEVERS)).end_to_end()
    assert not (before & ~after).any()
    assert after.sum() > before.sum()


def test_what_is_gone_is_counted_nowhere():
    counts, ended = evaluator_of().counts(world_of(day_of(), {"certification_abolished": 1.0}, LEVERS))
    place = [procedure.code for procedure in day_of().procedures].index("X.900003")
    assert counts[place].sum() == ended[place].sum() == 0
    assert counts.sum() == APPLICATIONS - evaluator_of().matrix.counts[place].sum()


def test_days_of_several_seeds_are_pooled():
    days = [day_of(seed=seed) for seed in (1, 2)]
    both = Evaluator(matrix_of(days, named_plan("mild"), ATTEMPTS))
    single = [Evaluator(matrix_of([day], named_plan("mild"), ATTEMPTS)) for day in days]
    world = World(day_of())
    assert (
        both.counts(world)[1] == sum(each.counts(World(day))[1] for each, day in zip(single, days, strict=True))
    ).all()
    assert both.matrix.applications == 2 * APPLICATIONS


def test_stored_draws_of_another_day_are_refused():
    kept = stored([day_of("twenty-five")], named_plan("mild"), ATTEMPTS)
    with pytest.raises(ValueError, match="other procedures or provinces"):
        assembled(day_of(), kept)


def test_a_share_of_one_holds_for_every_word():
    assert all(int(column.max()) < ALL for column in evaluator_of().matrix.columns.values())


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"no_such": 1.0}, "no lever 'no_such'; use one of online_filing"),
        ({"fee_online": 1.5}, "a lever goes from 0"),
        ({"fee_online": float("nan")}, "a lever goes from 0"),
        ({"commune_originals": 0.5}, "is a decision, which is taken"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(setting: Mapping[str, float], said: str):
    with pytest.raises(LeverError, match=said):
        world_of(day_of(), setting, LEVERS)


def test_every_lever_has_range_source_mark_and_cost():
    assert set(load_costs()) == set(LEVERS)
    assert all(cost > 0 for cost in load_costs().values())
    assert all(lever.source and lever.evidence in "ABCD" for lever in LEVERS.values())
    assert all(lever.shares or lever.databases or lever.procedures for lever in LEVERS.values())


def test_every_lever_acts():
    evaluator = evaluator_of(plan="mild")
    base = evaluator.counts(World(day_of()))
    idle = {
        name
        for name in LEVERS
        if all(
            np.array_equal(a, b)
            for a, b in zip(base, evaluator.counts(world_of(day_of(), {name: 1.0}, LEVERS)), strict=True)
        )
    }
    # Two in a thousand online filings, of which there are 1,400 here.
    assert idle <= {"level2_accounts"}


def test_a_lever_that_sets_what_nothing_knows_is_refused(tmp_path):
    (tmp_path / "levers.csv").write_text(",".join(COLUMNS) + "\nx,x,x,x,x,no_share=1,,,,false,false,x,x,x,C\n", "utf-8")
    with pytest.raises(DomainError, match=r"levers.csv.*no_share"):
        load_levers(tmp_path)


def test_the_matrix_knows_all_that_rules_population_and_procedures_look_at():
    """Whoever adds something here teaches it to `paperless.whatif.conditions` and `evaluator`, then writes it down."""
    assert Case._fields == (
        *("channel", "account_level", "service_level", "presence_required", "fee_due", "fee_paid_online"),
        *("electronic_result_due", "electronic_result", "result_delivery", "unanswered", "on_paper", "original"),
        *("irreplaceable", "asked_anyway", "ending"),
    )
    assert set(Shares.model_fields) - {"assisted_share", "elsewhere_share", "level2_share"} == {
        *("online_share", "postal_share", "level1_online_share", "refused_consent_share", "paper_taken_share"),
        *("paper_taken_other_share", "asked_again_share", "no_answer_share", "paper_answer_share"),
        *("online_payment_share", "electronic_result_share", "paper_on_request_share", "post_return_share"),
        *("physical_by_post_share",),
    }
    assert set(ApplicationSubmitted.model_fields) == {
        *("application_id", "dossier_code", "citizen_number", "account_level", "province", "commune"),
        *("home_province", "procedure", "authority", "channel", "assisted", "consent", "components"),
        *("fee_paid_online", "electronic_result", "result_delivery", "asks_anyway", "supplement_minutes"),
        *(
            "handling_minutes",
            "submitted_at",
            "asks_again",
            "consent_refused",
            "part_minutes",
            "filed_before_at",
            "asks_twice",
            "ending",
        ),
    }
    assert "limit_value" in {field.name for field in fields(Procedure)}


@pytest.mark.parametrize("name", SUPPOSED)
def test_what_only_a_run_supposes_is_refused(name: str):
    """The matrix does not draw who files again, is asked twice, or comes to no result: nobody does, unless supposed."""
    day = replace(day_of(), domain=with_values(DOMAIN, {name: 0.01}))
    with pytest.raises(ValueError, match=re.escape(name)):
        matrix_of([day], named_plan("calm"), ATTEMPTS)
