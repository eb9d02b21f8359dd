"""The table of rules itself: names, sources, precedence."""

import re
from typing import Any, get_args

import pytest

from contracts.events import Outcome
from services.intake.rules import PRECEDENCE, RULES, Case, judge

END_TO_END = Case(
    channel="online",
    account_level=2,
    service_level="full",
    presence_required=False,
    fee_due=True,
    fee_paid_online=True,
    electronic_result_due=True,
    electronic_result=True,
    result_delivery="electronic",
)

# One change each, and the only rule that it must wake.
CHANGES: list[tuple[dict[str, Any], str, str]] = [
    ({"account_level": 1}, "no_level_2_account", "rejected"),
    ({"service_level": "information"}, "not_offered_online", "rejected"),
    ({"irreplaceable": True}, "component_cannot_be_replaced", "rejected"),
    ({"ending": "refused"}, "refused_on_merits", "rejected"),
    ({"unanswered": True}, "supplement_not_answered", "stopped"),
    ({"ending": "withdrawn"}, "withdrawn", "stopped"),
    ({"channel": "direct"}, "filed_in_person", "on_paper"),
    ({"channel": "post"}, "filed_by_post", "on_paper"),
    ({"service_level": "partial"}, "not_offered_end_to_end", "partly_online"),
    ({"presence_required": True}, "presence_required", "partly_online"),
    ({"original": True}, "original_required", "partly_online"),
    ({"on_paper": True}, "supplement_on_paper", "partly_online"),
    ({"asked_anyway": True}, "paper_asked_anyway", "partly_online"),
    ({"fee_paid_online": False}, "fee_not_paid_online", "partly_online"),
    ({"electronic_result": False}, "electronic_result_missing", "partly_online"),
    ({"result_delivery": "counter"}, "result_fetched_at_counter", "partly_online"),
]


def test_a_case_without_reason_ends_end_to_end():
    assert judge(END_TO_END) == ("end_to_end", ())


@pytest.mark.parametrize(("change", "reason", "outcome"), CHANGES, ids=[reason for _, reason, _ in CHANGES])
def test_one_change_wakes_one_rule(change, reason, outcome):
    assert judge(END_TO_END._replace(**change)) == (outcome, (reason,))


def test_every_rule_is_woken_by_some_change():
    assert [reason for _, reason, _ in CHANGES] == [rule.name for rule in RULES]


@pytest.mark.parametrize(
    "change",
    [
        {"fee_due": False, "fee_paid_online": False},
        {"electronic_result_due": False, "electronic_result": False},
        {"result_delivery": "post"},
    ],
    ids=["no fee due", "physical result", "result by post"],
)
def test_what_is_not_due_is_no_reason(change):
    assert judge(END_TO_END._replace(**change)) == ("end_to_end", ())


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("channel", ["direct", "post"])
def test_counter_and_post_need_no_account(channel, level):
    outcome, reasons = judge(END_TO_END._replace(channel=channel, account_level=level))
    assert (outcome, "no_level_2_account" in reasons) == ("on_paper", False)


def test_every_outcome_has_its_own_weight():
    assert set(PRECEDENCE) == set(get_args(Outcome))
    assert len(set(PRECEDENCE.values())) == len(PRECEDENCE)
    assert min(PRECEDENCE, key=PRECEDENCE.__getitem__) == "end_to_end"


def test_every_rule_has_a_name_and_a_source():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_]{1,64}", name) for name in names)
    assert all(re.search(r"/NĐ-CP|CT-TTg|CĐ-TTg|README\.md §|\.csv", rule.source) for rule in RULES)


def test_only_refusals_are_known_at_filing():
    assert {rule.outcome for rule in RULES if rule.at_filing} == {"rejected"}


def test_refusals_at_filing_read_only_what_is_looked_at_then():
    """Channel, account level and service level: a rule that reads more would silently not refuse at filing."""
    looked_at = ("channel", "account_level", "service_level")
    others = {name: value for change, _, _ in CHANGES for name, value in change.items() if name not in looked_at}
    for change, reason, _ in CHANGES:
        rule = next(rule for rule in RULES if rule.name == reason)
        if rule.at_filing:
            case = END_TO_END._replace(**change)
            assert rule.applies(case)
            assert rule.applies(case._replace(**others))
            assert not rule.applies(END_TO_END._replace(**others))
            assert set(change) <= set(looked_at)
