"""The hand-worked cases, and the proof that they guard the rules: every mutant of a rule fails at least one."""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import accumulate, combinations
from pathlib import Path
from typing import get_args

import pytest

from contracts.events import ApplicantAnswer, Cause, Channel, DecidedComponent, Outcome, ResultDelivery
from domain import CalendarRangeError, OfficeHours, Part, Procedure, WorkingCalendar, load_domain
from domain.models import LimitUnit
from services.intake import core, linked, rules
from services.intake.context import SubmissionFacts
from services.intake.core import RuleBook, decide
from services.intake.rules import PRECEDENCE, RULES, Answers, Rule, case_of, proofs_of
from tests.support.intake_examples import BOOK, CASES, Case


def differences(case: Case, book: RuleBook = BOOK) -> list[str]:
    decision = decide(case.facts, case.answers, book)._asdict()
    return [
        f"{case.name}: {field} is {decision[field]}, expected {value}"
        for field, value in case.expected.items()
        if decision[field] != value
    ]


def all_differences(book: RuleBook = BOOK) -> Iterator[str]:
    # Without what was judged before: a mutant must judge for itself.
    fresh = replace(book)
    for case in CASES:
        try:
            yield from differences(case, fresh)
        except (CalendarRangeError, ValueError) as error:
            yield f"{case.name}: {error}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_case_comes_to_what_the_law_says(case):
    assert differences(case) == []


def test_every_case_names_its_source():
    rows = tomllib.loads(Path(__file__).with_name("intake_cases.toml").read_text("utf-8"))["case"]
    assert len({row["name"] for row in rows}) == len(rows) >= 40
    assert all(row["source"] for row in rows)


def test_cases_cover_every_word_of_the_contract():
    causes = {one.cause for case in CASES for one in case.expected["components"]}
    applicants = {answer for case in CASES for answer in case.submitted.components.values()}
    assert causes == {None, *get_args(Cause)}
    assert applicants == set(get_args(ApplicantAnswer))
    assert {case.submitted.channel for case in CASES} == set(get_args(Channel))
    assert {case.submitted.result_delivery for case in CASES} == set(get_args(ResultDelivery))
    assert {case.expected["outcome"] for case in CASES} == set(get_args(Outcome))
    assert {case.submitted.account_level for case in CASES} == {0, 1, 2}


def test_cases_cover_every_unit_and_fallback():
    procedures = [load_domain().procedures[case.submitted.procedure] for case in CASES]
    fallbacks = {
        load_domain().procedures[case.submitted.procedure].components[one.component].fallback
        for case in CASES
        for one in case.expected["components"]
        if one.cause
    }
    assert {procedure.limit_unit for procedure in procedures} == set(get_args(LimitUnit))
    assert {procedure.service_level for procedure in procedures} == {"full", "partial", "information"}
    assert fallbacks == {"upload", "original", "none"}


# --- mutants of the table of rules --------------------------------------------------------------------------------


def book_of(rules_table: Sequence[Rule]) -> RuleBook:
    return RuleBook.of(load_domain(), BOOK.attempts, rules_table)


def changed(rule: Rule, by: Rule) -> RuleBook:
    return book_of([by if other is rule else other for other in RULES])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_removed_rule_fails_a_case(rule):
    assert list(all_differences(book_of([other for other in RULES if other is not rule])))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_an_inverted_rule_fails_a_case(rule):
    assert list(all_differences(changed(rule, rule._replace(applies=lambda case: not rule.applies(case)))))


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [(rule, outcome) for rule in RULES for outcome in PRECEDENCE if outcome != rule.outcome],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_rule_with_another_outcome_fails_a_case(rule, outcome):
    assert list(all_differences(changed(rule, rule._replace(outcome=outcome))))


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.at_filing], ids=lambda rule: rule.name)
def test_a_refusal_at_filing_looks_nothing_up(rule):
    assert list(all_differences(changed(rule, rule._replace(at_filing=False))))


# Only these read what is looked at before anything is asked; the moment of the others makes no difference.
KNOWN_AT_FILING = ("filed_in_person", "filed_by_post", "not_offered_end_to_end")


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.name in KNOWN_AT_FILING], ids=lambda rule: rule.name)
def test_only_refusals_are_decided_at_filing(rule):
    assert list(all_differences(changed(rule, rule._replace(at_filing=True))))


def test_the_order_of_reasons_is_the_tables():
    assert list(all_differences(book_of(RULES[::-1])))


# `end_to_end` is no rule's outcome, so its own weight never decides.
@pytest.mark.parametrize(
    ("one", "other"), list(combinations([outcome for outcome in PRECEDENCE if outcome != "end_to_end"], 2))
)
def test_a_swapped_precedence_fails_a_case(monkeypatch, one, other):
    monkeypatch.setattr(rules, "PRECEDENCE", {**PRECEDENCE, one: PRECEDENCE[other], other: PRECEDENCE[one]})
    assert list(all_differences(book_of(RULES)))


# --- mutants of time ----------------------------------------------------------------------------------------------


def with_calendar(calendar: WorkingCalendar) -> RuleBook:
    facts = replace(BOOK.domain)
    vars(facts)["calendar"] = calendar
    return replace(BOOK, domain=facts)


class AlwaysAtOnce(WorkingCalendar):
    """Paper after 15:00 is forwarded at once too."""

    def accepted(self, position: int, *, online: bool) -> int:
        return super().accepted(position, online=online or True)


class NeverAtOnce(WorkingCalendar):
    """Online data wait for the next day too."""

    def accepted(self, position: int, *, online: bool) -> int:
        return super().accepted(position, online=online and False)


class CountsFirstDay(WorkingCalendar):
    """The day of acceptance is the first of the limit."""

    def due_at(self, accepted: int, limit_value: int, limit_unit: LimitUnit) -> datetime:
        if limit_unit == "working_day" and limit_value > 1:
            limit_value -= 1
        return super().due_at(accepted, limit_value, limit_unit)


class SameDayAlways(WorkingCalendar):
    """Civil status is due the same day even after 15:00."""

    def due_at(self, accepted: int, limit_value: int, limit_unit: LimitUnit) -> datetime:
        return super().due_at(accepted - accepted % 60, limit_value, limit_unit)


class HoursAreDays(WorkingCalendar):
    def due_at(self, accepted: int, limit_value: int, limit_unit: LimitUnit) -> datetime:
        return super().due_at(accepted, limit_value, "working_day" if limit_unit == "hour" else limit_unit)


HOLIDAYS = load_domain().holidays
CALENDARS: dict[str, WorkingCalendar] = {
    "paper is forwarded at once": AlwaysAtOnce(HOLIDAYS),
    "data wait like paper": NeverAtOnce(HOLIDAYS),
    "the first day counts": CountsFirstDay(HOLIDAYS),
    "civil status is always due the same day": SameDayAlways(HOLIDAYS),
    "an hour is a day": HoursAreDays(HOLIDAYS),
    "cut-off at 14:59": WorkingCalendar(HOLIDAYS, OfficeHours(cutoff=899)),
    "cut-off at 15:01": WorkingCalendar(HOLIDAYS, OfficeHours(cutoff=901)),
    "no noon break": WorkingCalendar(HOLIDAYS, OfficeHours(noon_starts=720, noon_ends=720)),
    "no Tết": WorkingCalendar([day for day in HOLIDAYS if "Nguyên đán" not in day.name_vi]),
    "no worked Saturdays": WorkingCalendar([day for day in HOLIDAYS if day.kind != "working_saturday"]),
    "no exchanged days": WorkingCalendar([day for day in HOLIDAYS if day.kind != "compensatory_off"]),
    "no National Day": WorkingCalendar([day for day in HOLIDAYS if day.name_vi != "Quốc khánh"]),
}


def test_the_unchanged_calendar_passes_every_case():
    assert list(all_differences(with_calendar(WorkingCalendar(HOLIDAYS)))) == []


@pytest.mark.parametrize("calendar", CALENDARS.values(), ids=CALENDARS)
def test_another_calendar_fails_a_case(calendar):
    assert list(all_differences(with_calendar(calendar)))


@pytest.mark.parametrize(
    "book",
    [
        replace(BOOK, attempts=BOOK.attempts + 4),
        replace(BOOK, look_up_timeout=timedelta(seconds=30)),
        replace(BOOK, wait_minutes=BOOK.wait_minutes - 1),
        replace(BOOK, linked_wait_minutes=BOOK.linked_wait_minutes - 1),
        replace(BOOK, check_minutes=BOOK.check_minutes + 1),
        replace(BOOK, forwarding_minutes=BOOK.forwarding_minutes + 1),
    ],
    ids=["attempts", "time-out", "wait", "linked wait", "check", "forwarding"],
)
def test_another_parameter_fails_a_case(book):
    assert list(all_differences(book))


Times = tuple[datetime, datetime, datetime]
Proofs = tuple[DecidedComponent, ...]
TimingRule = Callable[..., Times]


def clock_does_not_restart(timing: TimingRule) -> TimingRule:
    """Index 2.1's reading: the due date of filing stays, whatever was supplemented."""

    def mutant(facts: SubmissionFacts, components: Proofs, outcome: Outcome, at: datetime, book: RuleBook) -> Times:
        due_at, _, _ = timing(facts, (), "end_to_end", at, book)
        return due_at, *timing(facts, components, outcome, at, book)[1:]

    return mutant


def what_no_database_knows_restarts_the_clock(timing: TimingRule) -> TimingRule:
    def mutant(facts: SubmissionFacts, components: Proofs, *rest: object) -> Times:
        asked = tuple(replace(one, cause="missing") if one.cause == "no_database" else one for one in components)
        return timing(facts, asked, *rest)

    return mutant


def the_look_up_takes_no_time(timing: TimingRule) -> TimingRule:
    def mutant(facts: SubmissionFacts, components: Proofs, outcome: Outcome, _: datetime, book: RuleBook) -> Times:
        return timing(facts, components, outcome, facts.submitted_at, book)

    return mutant


def paper_supplements_are_forwarded_at_once(timing: TimingRule) -> TimingRule:
    def mutant(facts: SubmissionFacts, components: Proofs, *rest: object) -> Times:
        return timing(facts, tuple(replace(one, source="upload") for one in components), *rest)

    return mutant


def a_stopped_case_keeps_its_due_date(timing: TimingRule) -> TimingRule:
    def mutant(facts: SubmissionFacts, components: Proofs, outcome: Outcome, at: datetime, book: RuleBook) -> Times:
        times = timing(facts, components, outcome, at, book)
        due_at, _, _ = timing(facts, (), "end_to_end", at, book)
        return (due_at, times[1], due_at) if outcome == "stopped" else times

    return mutant


def the_index_clock_is_the_legal_one(timing: TimingRule) -> TimingRule:
    def mutant(*given: object) -> Times:
        due_at, decided_at, _ = timing(*given)
        return due_at, decided_at, due_at

    return mutant


def the_index_clock_does_not_wait(timing: TimingRule) -> TimingRule:
    def mutant(facts: SubmissionFacts, components: Proofs, outcome: Outcome, at: datetime, book: RuleBook) -> Times:
        due_at, _, _ = timing(facts, (), "end_to_end", at, book)
        return *timing(facts, components, outcome, at, book)[:2], due_at

    return mutant


def nobody_is_asked_twice(timing: TimingRule) -> TimingRule:
    def mutant(facts: SubmissionFacts, *rest: object) -> Times:
        return timing(facts._replace(asks_twice=False), *rest)

    return mutant


def a_second_request_is_not_overdue(timing: TimingRule) -> TimingRule:
    def mutant(facts: SubmissionFacts, *rest: object) -> Times:
        due_at, decided_at, index_due_at = timing(facts, *rest)
        return due_at, decided_at, due_at if facts.asks_twice else index_due_at

    return mutant


def nothing_ends_before_handling(timing: TimingRule) -> TimingRule:
    def mutant(facts: SubmissionFacts, components: Proofs, _: Outcome, *rest: object) -> Times:
        return timing(facts, components, "end_to_end", *rest)

    return mutant


@pytest.mark.parametrize(
    "mutate",
    [
        clock_does_not_restart,
        what_no_database_knows_restarts_the_clock,
        the_look_up_takes_no_time,
        paper_supplements_are_forwarded_at_once,
        a_stopped_case_keeps_its_due_date,
        the_index_clock_is_the_legal_one,
        the_index_clock_does_not_wait,
        nobody_is_asked_twice,
        a_second_request_is_not_overdue,
        nothing_ends_before_handling,
    ],
    ids=lambda mutate: mutate.__name__,
)
def test_another_timing_fails_a_case(monkeypatch, mutate):
    monkeypatch.setattr(core, "_due_and_decided", mutate(core._due_and_decided))
    assert list(all_differences())


# --- mutants of the way from a commune's centre to an office of the province -----------------------------------------

ROUTES: dict[str, Callable[[SubmissionFacts, Procedure, RuleBook], bool]] = {
    "data are forwarded like paper": lambda facts, procedure, book: (
        procedure.level == "province" and not book.domain.provinces[facts.province].single_centre
    ),
    "the commune forwards what it decides itself": lambda facts, _, book: (
        facts.channel != "online" and not book.domain.provinces[facts.province].single_centre
    ),
    "one centre forwards to itself": lambda facts, procedure, _: (
        facts.channel != "online" and procedure.level == "province"
    ),
}


@pytest.mark.parametrize("forwards", ROUTES.values(), ids=ROUTES)
def test_another_way_to_the_office_fails_a_case(monkeypatch, forwards):
    def mutant(facts: SubmissionFacts, procedure: Procedure, book: RuleBook) -> int:
        return book.forwarding_minutes if forwards(facts, procedure, book) else 0

    monkeypatch.setattr(core, "_forwarding_minutes", mutant)
    assert list(all_differences())


# --- mutants of linked services -------------------------------------------------------------------------------------

PARTS = {code: procedure.parts for code, procedure in load_domain().procedures.items() if procedure.parts}


def with_parts(change: Callable[[tuple[Part, ...]], tuple[Part, ...]]) -> RuleBook:
    procedures = {
        code: replace(procedure, parts=change(procedure.parts)) for code, procedure in BOOK.domain.procedures.items()
    }
    return replace(BOOK, domain=replace(BOOK.domain, procedures=procedures))


def changing(code: str, slug: str, **fields: object) -> Callable[[tuple[Part, ...]], tuple[Part, ...]]:
    def change(parts: tuple[Part, ...]) -> tuple[Part, ...]:
        if parts != PARTS[code]:
            return parts
        return tuple([replace(part, **fields) if part.slug == slug else part for part in parts])  # type: ignore[arg-type]

    return change


def test_the_unchanged_parts_pass_every_case():
    assert list(all_differences(with_parts(lambda parts: parts))) == []


WAITING = [(code, part.slug) for code, parts in PARTS.items() for part in parts if part.after]


@pytest.mark.parametrize(("code", "slug"), WAITING)
def test_a_part_that_waits_for_none_fails_a_case(code, slug):
    assert list(all_differences(with_parts(changing(code, slug, after=""))))


@pytest.mark.parametrize(("code", "slug"), [(code, part.slug) for code, parts in PARTS.items() for part in parts])
def test_another_limit_of_a_part_fails_a_case(code, slug):
    part = next(part for part in PARTS[code] if part.slug == slug)
    changed_limit = {"limit_unit": "working_day", "limit_value": part.limit_value + 1}
    assert list(all_differences(with_parts(changing(code, slug, **changed_limit))))


def first_part_only(parts: Sequence[Part], minutes: Mapping[str, int]) -> Mapping[str, tuple[int, int]]:
    return {part.slug: (0, minutes[parts[0].slug]) for part in parts}


def one_after_the_other(parts: Sequence[Part], minutes: Mapping[str, int]) -> Mapping[str, tuple[int, int]]:
    ends = list(accumulate(minutes[part.slug] for part in parts))
    return {part.slug: (end - minutes[part.slug], end) for part, end in zip(parts, ends, strict=True)}


@pytest.mark.parametrize("mutant", [first_part_only, one_after_the_other], ids=lambda mutant: mutant.__name__)
def test_another_order_of_parts_fails_a_case(monkeypatch, mutant):
    monkeypatch.setattr(linked, "spans", mutant)
    assert list(all_differences())


def test_parts_are_of_what_comes_to_a_result(monkeypatch):
    monkeypatch.setattr(core, "PRECEDENCE", {**PRECEDENCE, "stopped": 9})
    assert list(all_differences())


def test_a_linked_service_waits_for_the_next_day_like_paper(monkeypatch):
    monkeypatch.setattr(core, "_forwarded_at_once", lambda _, *, online: online)
    assert len(list(all_differences())) > 1


@pytest.mark.parametrize("ending", sorted(core.ENDINGS))
def test_a_complete_dossier_is_handled_before_it_ends(monkeypatch, ending):
    monkeypatch.setattr(core, "ENDINGS", core.ENDINGS - {ending})
    assert list(all_differences())


def test_only_a_complete_dossier_is_taken_back_or_refused_on_its_merits(monkeypatch):
    def mutant(facts: SubmissionFacts, procedure: Procedure, proofs: Proofs) -> rules.Case:
        return case_of(facts, procedure, proofs)._replace(ending=facts.ending)

    monkeypatch.setattr(core, "case_of", mutant)
    assert list(all_differences())


def test_who_is_refused_at_filing_has_no_dossier_to_take_back(monkeypatch):
    monkeypatch.setattr(SubmissionFacts, "_replace", lambda facts, **_: facts)
    assert list(all_differences())


# --- mutants of where a proof comes from ----------------------------------------------------------------------------

ProofRule = Callable[..., Proofs]


def a_scan_stands_for_an_original(proofs: ProofRule) -> ProofRule:
    def mutant(facts: SubmissionFacts, answers: Answers, procedure: Procedure) -> Proofs:
        answered = dict(facts.components)
        return tuple(
            replace(one, source="upload") if one.source == "paper" and answered[one.component] == "upload" else one
            for one in proofs(facts, answers, procedure)
        )

    return mutant


def everything_is_asked_anyway(proofs: ProofRule) -> ProofRule:
    def mutant(facts: SubmissionFacts, answers: Answers, procedure: Procedure) -> Proofs:
        return tuple(
            replace(one, source="paper", cause="asked_anyway") if facts.asks_anyway and one.source == "data" else one
            for one in proofs(facts, answers, procedure)
        )

    return mutant


def nothing_is_asked_anyway(proofs: ProofRule) -> ProofRule:
    def mutant(facts: SubmissionFacts, answers: Answers, procedure: Procedure) -> Proofs:
        return proofs(facts._replace(asks_anyway=False), answers, procedure)

    return mutant


def nothing_is_asked_again(proofs: ProofRule) -> ProofRule:
    def mutant(facts: SubmissionFacts, answers: Answers, procedure: Procedure) -> Proofs:
        return proofs(facts._replace(asks_again=False), answers, procedure)

    return mutant


def what_is_asked_again_comes_on_paper(proofs: ProofRule) -> ProofRule:
    """The two breaches taken for one, as they were."""

    def mutant(facts: SubmissionFacts, answers: Answers, procedure: Procedure) -> Proofs:
        return tuple(
            replace(one, source="paper", cause="asked_anyway") if one.cause == "asked_again" else one
            for one in proofs(facts, answers, procedure)
        )

    return mutant


def everything_is_asked_again(proofs: ProofRule) -> ProofRule:
    def mutant(facts: SubmissionFacts, answers: Answers, procedure: Procedure) -> Proofs:
        answered = dict(facts.components)
        return tuple(
            replace(one, source=answered[one.component], cause="asked_again")
            if facts.asks_again and one.source == "data"
            else one
            for one in proofs(facts, answers, procedure)
        )

    return mutant


def an_irreplaceable_component_is_asked_for_online(proofs: ProofRule) -> ProofRule:
    def mutant(facts: SubmissionFacts, answers: Answers, procedure: Procedure) -> Proofs:
        return proofs(facts._replace(channel="direct"), answers, procedure)

    return mutant


def any_answer_is_proof(proofs: ProofRule) -> ProofRule:
    def mutant(facts: SubmissionFacts, answers: Answers, procedure: Procedure) -> Proofs:
        found = {slug: replace(answered, answer="found") for slug, answered in answers.items()}
        return proofs(facts, found, procedure)

    return mutant


def silence_is_a_missing_record(proofs: ProofRule) -> ProofRule:
    def mutant(facts: SubmissionFacts, answers: Answers, procedure: Procedure) -> Proofs:
        return tuple(
            replace(one, cause="missing") if one.cause == "unreachable" else one
            for one in proofs(facts, answers, procedure)
        )

    return mutant


@pytest.mark.parametrize(
    "mutate",
    [
        a_scan_stands_for_an_original,
        everything_is_asked_anyway,
        nothing_is_asked_anyway,
        nothing_is_asked_again,
        what_is_asked_again_comes_on_paper,
        everything_is_asked_again,
        an_irreplaceable_component_is_asked_for_online,
        any_answer_is_proof,
        silence_is_a_missing_record,
    ],
    ids=lambda mutate: mutate.__name__,
)
def test_another_proof_fails_a_case(monkeypatch, mutate):
    monkeypatch.setattr(core, "proofs_of", mutate(proofs_of))
    assert list(all_differences())
