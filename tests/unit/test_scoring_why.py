from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from domain import load_domain
from services.intake.rules import RULES
from services.scoring.rates.why import COMPONENT_REASONS, REASON_NAMES, reason_sets, why_table
from services.scoring.rollup.outcome import ApplicationOutcome
from services.scoring.rollup.rollup import Rollup
from tests.support.scoring_examples import RESIDENCE, component, decided, outcomes, partition

DOMAIN = load_domain()


def why(decisions: Iterable[ApplicationOutcome], **filters):
    rollup = Rollup()
    rollup.apply_all([(partition(outcome), outcome) for outcome in decisions])
    return why_table(rollup.cells, DOMAIN, **({"authority": "all"} | filters))


def stopped_by(number: int, *reasons: str, **changes) -> ApplicationOutcome:
    return decided(number, outcome="partly_online", reasons=reasons, **changes)


def test_a_reason_alone_is_what_lifting_it_would_gain():
    table = why(
        [decided(1), stopped_by(2, "fee_not_paid_online"), stopped_by(3, "fee_not_paid_online", "filed_by_post")]
    )
    (fee,) = [row for row in table.reasons if row.reason == "fee_not_paid_online"]
    assert (fee.applications, fee.alone) == (2, 1)
    assert (table.d1.numerator, fee.d1_if_lifted.numerator, fee.d1_if_lifted.denominator) == (1, 2, 3)


def test_two_reasons_that_come_together_are_lifted_together():
    table = why([decided(1)] + [stopped_by(n, "filed_by_post", "presence_required") for n in (2, 3)])
    assert [row.alone for row in table.reasons] == [0, 0]
    assert (table.pairs[0].reasons, table.pairs[0].applications) == (("filed_by_post", "presence_required"), 2)


def test_a_refusal_at_filing_gives_only_an_upper_bound():
    refused = decided(1, outcome="rejected", reasons=("no_level_2_account",), revision=0)
    unpaid = stopped_by(2, "fee_not_paid_online")
    assert {row.reason: row.upper_bound for row in why([refused, unpaid]).reasons} == {
        "no_level_2_account": True,
        "fee_not_paid_online": False,
    }


def test_every_set_of_reasons_is_counted_once():
    rollup = Rollup()
    reasons = ((), ("filed_by_post",), ("presence_required", "filed_by_post"), ("filed_by_post",))
    filed = [decided(1), *(stopped_by(number, *each) for number, each in enumerate(reasons[1:], 2))]
    rollup.apply_all([(partition(outcome), outcome) for outcome in filed])
    counted = reason_sets(rollup.cells, authority="all")
    assert (counted.applications, counted.end_to_end) == (4, 1)
    assert [(each.reasons, each.applications) for each in counted.sets] == [
        (("filed_by_post",), 2),
        (("filed_by_post", "presence_required"), 1),
    ]
    assert counted.names["filed_by_post"] == REASON_NAMES["filed_by_post"]


def test_a_missing_record_is_charged_to_its_database():
    missed = stopped_by(1, "supplement_on_paper", components=(component("a", "paper", "missing", "ho_tich"),))
    twice = stopped_by(
        2,
        "supplement_on_paper",
        components=(component("a", "paper", "mismatch", "ho_tich"), component("b", "paper", "unreachable", "dat_dai")),
    )
    by_data = decided(3, components=(component("a", database="ho_tich"),))
    rows = {row.database: row for row in why([missed, twice, by_data]).databases}
    assert (rows["ho_tich"].found, rows["ho_tich"].missing, rows["ho_tich"].mismatch) == (1, 1, 1)
    assert (rows["ho_tich"].blocking, rows["ho_tich"].alone) == (2, 1)
    assert (rows["dat_dai"].unreachable, rows["dat_dai"].alone) == (1, 0)


def test_an_upload_is_a_miss_that_blocks_nothing():
    uploaded = stopped_by(1, "fee_not_paid_online", components=(component("a", "upload", "missing", "ho_tich"),))
    (row,) = why([uploaded]).components
    assert (row.applications, row.blocking, row.alone) == (1, 0, 0)


def test_a_paper_filed_in_person_is_not_the_only_obstacle():
    in_person = decided(
        1,
        outcome="on_paper",
        channel="direct",
        reasons=("filed_in_person", "supplement_on_paper"),
        components=(component("a", "paper", "missing", "ho_tich"),),
    )
    (row,) = why([in_person]).components
    assert (row.blocking, row.alone) == (1, 0)


def test_filters_select_before_counting():
    decisions = [stopped_by(1, "filed_by_post"), stopped_by(2, "filed_by_post", province="79")]
    assert why(decisions, province="79").applications == 1
    assert why(decisions, month="2024-01").applications == 0
    assert why(decisions, authority="province").applications == 0
    assert why(decisions, procedure=RESIDENCE).applications == 2


def test_nothing_decided_explains_nothing():
    table = why([])
    assert (table.d1.value, table.reasons, table.components, table.databases) == (None, [], [], [])


@given(st.lists(outcomes(), max_size=30))
def test_reasons_and_outcomes_add_up_to_the_cells(decisions):
    rollup = Rollup()
    rollup.apply_all([(partition(outcome), outcome) for outcome in decisions])
    table = why_table(rollup.cells, DOMAIN, authority="all")
    assert table.applications == sum(measures.n for measures in rollup.cells.values())
    assert sum(table.outcomes.values()) == table.applications
    assert table.end_to_end + table.not_end_to_end == table.applications
    single = {row.reason: row.alone for row in table.reasons}
    assert all(0 <= row.alone <= row.applications <= table.not_end_to_end for row in table.reasons)
    assert all(pair.applications >= sum(single[reason] for reason in pair.reasons) for pair in table.pairs)


def test_every_rule_of_intake_has_a_name_for_readers():
    assert {rule.name for rule in RULES} == set(REASON_NAMES)


def test_reasons_from_components_are_rules_of_intake():
    assert {rule.name for rule in RULES} >= COMPONENT_REASONS
