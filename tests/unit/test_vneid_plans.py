"""Plan files: a broken one says which file, which key and what to do."""

from typing import get_args

import pytest

from services.vneid_mock.faults import FaultName, Faults
from services.vneid_mock.plan_files import DEFAULT_PLAN, PlanError, load_plan, named_plans, plan_of, plan_of_toml


def test_the_packaged_plans_are_calm_mild_and_rough():
    assert list(named_plans()) == ["calm", "mild", "rough"]
    assert load_plan() is named_plans()[DEFAULT_PLAN]
    assert all(plan.sentence.endswith(".") for plan in named_plans().values())


def test_a_plan_of_ones_own_is_read_from_its_path(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nlate_answer_share = 0.5\n[unreachable]\nho_tich = 0.1\n')
    plan = load_plan(str(file))
    assert (plan.name, plan.late_answer_share, plan.unreachable) == ("mine", 0.5, {"ho_tich": 0.1})


def test_a_plan_survives_its_own_json():
    for plan in named_plans().values():
        assert plan_of(plan.model_dump(mode="json"), "copy") == plan


def test_every_fault_can_be_overridden():
    assert set(get_args(FaultName)) == set(Faults.model_fields)


OVERRIDE = '[[overrides]]\nmatch = {province = "01"}\nset = '


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("late_share = 1", "p.toml, late_share: unknown key; did you mean"),
        ("xyz = 1", "p.toml, xyz: unknown key; use one of late_answer_share, "),
        ("slow_share = 1.5", "p.toml, slow_share: Input should be less than or equal to 1 (got 1.5); lower it"),
        ("slow_share = -0.1", "p.toml, slow_share: Input should be greater than or equal to 0 (got -0.1); raise it"),
        ("slow_share = nan", "p.toml, slow_share: "),
        ('slow_share = "often"', "p.toml, slow_share: Input should be a valid number (got 'often'); write a number"),
        (
            "late_answer_share = 0.8\nnever_answer_share = 0.4",
            "late_answer_share + very_late_answer_share + never_answer_share is 1.2; lower them",
        ),
        ("silent_share = 0.8\nslow_share = 0.4", "silent_share + slow_share + very_slow_share is 1.2; lower them"),
        ("slow_delay_s = 2\nslow_delay_max_s = 1", "slow_delay_max_s is below slow_delay_s; raise it"),
        ("never_answer_share = 0.8\nunreachable = {dat_dai = 0.3}", "unreachable.dat_dai and the answering shares sum"),
        ("unreachable = {land = 0.3}", "p.toml, unreachable: no database 'land'; use one of dan_cu, "),
        ("[[overrides]]\nmatch = {}\nset = {silent_share = 1}", "overrides.0.match: matches nobody; give database"),
        ('[[overrides]]\nmatch = {province = "99"}\nset = {silent_share = 1}', "no province '99'; use a two-digit"),
        ('[[overrides]]\nmatch = {database = "x"}\nset = {silent_share = 1}', "no database 'x'; use one of"),
        (OVERRIDE + "{silence = 1}", "overrides.0.set.silence: no fault of that name"),
        (OVERRIDE + "{silent_share = 2}", "overrides.0.set.silent_share: Input should be less than or equal to 1"),
        (OVERRIDE + "{silent_share = 0.9, slow_share = 0.9}", "overrides.0.set: silent_share + slow_share"),
        (OVERRIDE + "{}", "p.toml, overrides.0.set: "),
        ("unreachable = {dat_dai = 0.5}\n" + OVERRIDE + "{never_answer_share = 0.6}", "unreachable.dat_dai and"),
        ("a =", "p.toml, plan: not TOML: "),
    ],
)
def test_a_broken_plan_names_file_key_and_remedy(text, message):
    with pytest.raises(PlanError) as caught:
        plan_of_toml(f'name = "p"\n{text}', "p.toml")
    assert str(caught.value).startswith("p.toml, ")
    assert message in str(caught.value)
    assert all(problem.remedy for problem in caught.value.problems)


def test_a_plan_without_a_name_is_refused():
    with pytest.raises(PlanError, match=r"p\.toml, name: Field required; add it"):
        plan_of_toml("slow_share = 0.1", "p.toml")


def test_an_unknown_plan_is_refused_with_the_known_names():
    with pytest.raises(PlanError, match="stormy, name: no plan of this name; use one of calm, mild, rough"):
        load_plan("stormy")


def test_a_plan_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PlanError, match=r"gone\.toml, plan: cannot be read: .*; check the path"):
        load_plan(str(tmp_path / "gone.toml"))
