"""Where the proof of each component comes from, and what of it the rules look at."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from contracts.events import Answer, ApplicantAnswer, Source
from domain import Component, Procedure
from services.intake.context import Facts
from services.intake.rules import Case, Settled


class Answered(NamedTuple):
    """The answer to one component: what the database said, which one, and when (event time)."""

    answer: Answer
    database: str
    at: datetime


Answers = Mapping[str, Answered]


def settle(facts: Facts, answers: Answers, procedure: Procedure) -> tuple[Settled, ...]:
    """Return where the proof of each needed component comes from (design: from look-up to outcome).

    An office that asks anyway takes the first component on paper that data had replaced.
    """
    settled = []
    anyway = facts.asks_anyway
    online = facts.channel == "online"
    for slug, applicant in facts.components:
        one = _settle_one(procedure.components[slug], applicant, answers.get(slug), online=online)
        if anyway and one.source == "data":
            anyway = False
            one = Settled(slug, "paper", "asked_anyway", one.database)
        settled.append(one)
    return tuple(settled)


def _settle_one(
    component: Component, applicant: ApplicantAnswer, answered: Answered | None, *, online: bool
) -> Settled:
    slug = component.slug
    if not component.databases:
        return (
            Settled(slug, _asked(component, applicant, online=online), "no_database", None)
            if component.needs_proof
            else Settled(slug, "form", None, None)
        )
    if answered is None:
        return Settled(slug, _asked(component, applicant, online=online), "unreachable", component.databases[0])
    if answered.answer == "found":
        return Settled(slug, "data", None, answered.database)
    return Settled(slug, _asked(component, applicant, online=online), answered.answer, answered.database)


def _asked(component: Component, applicant: ApplicantAnswer, *, online: bool) -> Source:
    """Return how a component asked for is answered: an original only on paper, an irreplaceable one not online."""
    if component.fallback == "none" and online:
        return "none"
    if component.fallback == "original" and applicant == "upload":
        return "paper"
    return applicant


def case_of(facts: Facts, procedure: Procedure, settled: tuple[Settled, ...]) -> Case:
    """Return what the rules look at."""
    unanswered = on_paper = original = irreplaceable = asked_anyway = False
    for component, source, cause, _ in settled:
        if cause is None:
            continue
        if cause == "asked_anyway":
            asked_anyway = True
            continue
        fallback = procedure.components[component].fallback
        if fallback == "none" and facts.channel == "online":
            irreplaceable = True
        elif source == "none":
            unanswered = True
        elif source == "paper":
            original, on_paper = original or fallback == "original", on_paper or fallback != "original"
    return Case(
        facts.channel,
        facts.account_level,
        procedure.service_level,
        procedure.presence_required,
        procedure.fee_online_vnd > 0,
        bool(facts.fee_paid_online),
        procedure.electronic_result,
        facts.electronic_result,
        facts.result_delivery,
        unanswered,
        on_paper,
        original,
        irreplaceable,
        asked_anyway,
    )
