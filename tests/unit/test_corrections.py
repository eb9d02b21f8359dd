"""Requests to correct a record, against hand-worked cases, and the proof that the cases guard the rules."""

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from contracts.events import Answer, ApplicationSubmitted, CorrectionRequested, DocumentAnswer
from contracts.records import short_digest
from domain import VN, CorrectionDesk, DomainError, load_domain, with_values
from services.intake.context import SubmissionFacts, facts_of
from services.intake.core import Decision, decide
from services.intake.corrections import Correction, corrections_of
from services.intake.rules import Answers
from tests.support.intake_examples import BOOK, submission

DESK = load_domain().correction_desk
CASES_FILE = Path(__file__).with_name("correction_cases.toml")
# Component, database, answer, who is asked, asked at, worked off at.
Request = tuple[str, str, str, tuple[str, ...], datetime, datetime]


class Case(NamedTuple):
    name: str
    source: str
    facts: SubmissionFacts
    answers: Answers
    requests: tuple[Request, ...]


def in_vietnam(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=VN)


def case_of(row: dict[str, Any]) -> Case:
    submitted_at = row["submitted_at"].replace(tzinfo=VN)
    lines = [[cell.strip() for cell in line.split("|")] for line in row["components"]]
    given = {name: row[name] for name in ApplicationSubmitted.model_fields if name in row}
    given |= {"submitted_at": submitted_at, "components": {slug: applicant for slug, applicant, _ in lines}}
    submitted = submission(**given)
    facts = facts_of(submitted, short_digest(submitted.model_dump_json().encode()))
    answers = {slug: answered(slug, said, submitted_at) for slug, _, said in lines if said not in {"-", "silent"}}
    requests = [[cell.strip() for cell in line.split("|")] for line in row["requests"]]
    return Case(
        row["name"],
        row["source"],
        facts,
        answers,
        tuple(
            (
                slug,
                database,
                answer,
                tuple(asked.split(", ")),
                in_vietnam(at[0]) if at else submitted_at,
                in_vietnam(off),
            )
            for slug, database, answer, asked, off, *at in requests
        ),
    )


def answered(slug: str, said: str, submitted_at: datetime) -> DocumentAnswer:
    database, answer, *at = said.split()
    return DocumentAnswer(slug, cast("Answer", answer), database, in_vietnam(at[0]) if at else submitted_at)


def load_cases() -> list[Case]:
    table = tomllib.loads(CASES_FILE.read_text("utf-8"))
    return [case_of(table["given"] | row) for row in table["case"]]


CASES = load_cases()
DeskOf = Callable[[datetime], CorrectionDesk]
Rule = Callable[[Decision, Answers, DeskOf], tuple[Correction, ...]]


def requests_of(case: Case, rule: Rule = corrections_of, **change: Any) -> tuple[Request, ...]:
    decision = decide(case.facts, case.answers, BOOK)
    desk = replace(BOOK.desk(decision.submitted_at), **change)
    return tuple(
        (each.component, each.database, each.answer, each.addressees, each.requested_at, each.worked_off_at)
        for each in rule(decision, case.answers, lambda _: desk)
    )


def failing(rule: Rule = corrections_of, **change: Any) -> Iterator[str]:
    for case in CASES:
        try:
            if requests_of(case, rule, **change) != case.requests:
                yield case.name
        except KeyError:
            yield case.name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_case_asks_for_what_the_sources_say(case: Case):
    assert requests_of(case) == case.requests


def test_every_case_names_its_source():
    assert len({case.name for case in CASES}) == len(CASES) >= 15
    assert all(case.source for case in CASES)


def of_other_answers(**others: str) -> Rule:
    """A rule that takes one answer for another."""

    def rule(decision: Decision, answers: Answers, desk_of: DeskOf) -> tuple[Correction, ...]:
        causes: dict[str, Any] = others
        proofs = [replace(one, cause=causes.get(one.cause or "found", one.cause)) for one in decision.components]
        there = {
            one.component: DocumentAnswer(one.component, "missing", "dan_cu", decision.submitted_at) for one in proofs
        }
        return corrections_of(decision._replace(components=tuple(proofs)), {**there, **answers}, desk_of)

    return rule


def changed(change: Callable[[Correction], Correction]) -> Rule:
    return lambda decision, answers, desk_of: tuple(map(change, corrections_of(decision, answers, desk_of)))


def the_answers_time(decision: Decision, answers: Answers, desk_of: DeskOf) -> tuple[Correction, ...]:
    early = decision._replace(submitted_at=decision.submitted_at - timedelta(days=30))
    return corrections_of(early, answers, desk_of)


def first_only(decision: Decision, answers: Answers, desk_of: DeskOf) -> tuple[Correction, ...]:
    return corrections_of(decision, answers, desk_of)[:1]


def unless_it_ends(decision: Decision, answers: Answers, desk_of: DeskOf) -> tuple[Correction, ...]:
    return () if decision.outcome == "rejected" else corrections_of(decision, answers, desk_of)


def online_only(decision: Decision, answers: Answers, desk_of: DeskOf) -> tuple[Correction, ...]:
    return corrections_of(decision, answers, desk_of) if decision.channel == "online" else ()


def the_first_database(correction: Correction) -> Correction:
    component = load_domain().procedures[correction.procedure].components[correction.component]
    return correction._replace(database=component.databases[0])


MUTANTS: dict[str, Rule] = {
    "a missing record is nobody's": of_other_answers(missing="refused"),
    "a record that does not match is nobody's": of_other_answers(mismatch="refused"),
    "a database not reached is corrected": of_other_answers(unreachable="missing"),
    "refused data are corrected": of_other_answers(refused="missing"),
    "found data are corrected": of_other_answers(found="missing"),
    "what is asked anyway is corrected": of_other_answers(asked_anyway="missing"),
    "what no database has is corrected": of_other_answers(no_database="missing"),
    "an answer of any day counts": the_answers_time,
    "one for an application": first_only,
    "none for a refused application": unless_it_ends,
    "none at the counter": online_only,
    "the first database is asked": changed(the_first_database),
    "the answer is always missing": changed(lambda one: one._replace(answer="missing")),
    "asked at filing": changed(lambda one: one._replace(requested_at=one.requested_at.replace(second=0))),
}


@pytest.mark.parametrize("rule", MUTANTS.values(), ids=MUTANTS)
def test_another_rule_fails_a_case(rule: Rule):
    assert list(failing(rule))


def test_the_unchanged_rule_passes_every_case():
    assert list(failing()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"begins": DESK.begins + 480},
        {"begins": 0},
        {"minutes": DESK.minutes - 1},
        {"growth": 0.0},
        {"growth": 0.12},
        {"asks_citizen": True},
        {"asks_citizen": False},
    ],
    ids=["begins later", "has always begun", "quicker", "no queue", "longer queue", "always", "never"],
)
def test_another_desk_fails_a_case(change: dict[str, Any]):
    assert list(failing(**change))


def test_with_capacity_enough_no_queue_grows():
    desk = with_values(load_domain(), {"correction.capacity": 1.2}).correction_desk
    assert desk.growth == 0
    assert desk.worked_off_at(in_vietnam("2025-10-01T09:00:00")) == in_vietnam("2025-10-15T09:00:00")


def test_an_owner_without_capacity_is_a_mistake_in_the_file():
    with pytest.raises(DomainError, match=r"correction\.capacity.*give more than 0"):
        with_values(load_domain(), {"correction.capacity": 0}).correction_desk  # noqa: B018  worked out when asked


def test_a_request_overtakes_no_other():
    day = in_vietnam("2025-07-01T07:00:00")
    done = [DESK.worked_off_at(day + timedelta(hours=5 * hours)) for hours in range(1_800)]
    assert done == sorted(done)


def test_a_request_is_on_the_wire_as_its_event_is():
    case = next(case for case in CASES if len(case.requests) == 2)
    for each in corrections_of(decide(case.facts, case.answers, BOOK), case.answers, BOOK.desk):
        event = CorrectionRequested.model_validate_json(each.to_json())
        assert event.model_dump_json().encode() == each.to_json()
        assert each.event_id == f"{event.application_id}/correction/{event.submission}/{event.component}"


def test_who_knows_more_asks_for_the_same_and_more():
    case = next(case for case in CASES if len(case.requests) == 2)
    asked = [
        set(corrections_of(decide(case.facts, known, BOOK), known, BOOK.desk))
        for known in (dict(list(case.answers.items())[:count]) for count in range(len(case.answers) + 1))
    ]
    assert all(less <= more for less, more in pairwise(asked))
    assert [len(each) for each in asked] == [0, 1, 2, 2]
