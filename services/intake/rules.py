"""The rules that keep an application from ending end to end: one table, each with its name, outcome and source.

Every rule that applies becomes a reason of the outcome; the strongest one's outcome is the application's. What the
rules look at, a `Case`, follows from where the proof of each component comes from.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from contracts.events import (
    ApplicantAnswer,
    Channel,
    DecidedComponent,
    DocumentAnswer,
    Ending,
    Outcome,
    ResultDelivery,
    Source,
)
from domain import Component, Procedure, ServiceLevel
from services.intake.context import SubmissionFacts

RULES_VERSION = 4
LEVEL_2 = 2


# By component: what the databases said. A component that is absent was not answered.
Answers = Mapping[str, DocumentAnswer]


class Case(NamedTuple):
    """What the rules look at, and nothing else: few values, so that equal cases are judged once.

    `fee_due`, `electronic_result_due`, `presence_required` and `service_level` are the procedure's. The last six tell
    how it ends. Of the components: one asked for was not answered, was answered on paper, came as the paper original
    that nothing else replaces, cannot be replaced at all, was taken on paper although data had it. A component that is
    asked for again although data had it is one asked for: what is uploaded leaves the application end to end. `ending`:
    the complete dossier comes to no result.
    """

    channel: Channel
    account_level: int
    service_level: ServiceLevel
    presence_required: bool = False
    fee_due: bool = False
    fee_paid_online: bool = False
    electronic_result_due: bool = False
    electronic_result: bool = False
    result_delivery: ResultDelivery = "electronic"
    unanswered: bool = False
    on_paper: bool = False
    original: bool = False
    irreplaceable: bool = False
    asked_anyway: bool = False
    ending: Ending | None = None


class Rule(NamedTuple):
    """A named test; `source` says where it comes from: decree and article, portal record, or data file.

    `at_filing` marks what is known before anything is asked: such an application is refused without a look-up.
    """

    name: str
    outcome: Outcome
    applies: Callable[[Case], bool]
    source: str
    at_filing: bool = False


RULES: tuple[Rule, ...] = (
    Rule(
        "no_level_2_account",
        "rejected",
        lambda case: case.channel == "online" and case.account_level < LEVEL_2,
        "domain/README.md §3: filing online needs a level-2 account",
        at_filing=True,
    ),
    Rule(
        "not_offered_online",
        "rejected",
        lambda case: case.channel == "online" and case.service_level == "information",
        "NĐ 42/2022/NĐ-CP: online services are 'toàn trình' or 'một phần'; others only inform",
        at_filing=True,
    ),
    Rule(
        "component_cannot_be_replaced",
        "rejected",
        lambda case: case.irreplaceable,
        "components.csv fallback=none: retry, then refuse online",
    ),
    Rule(
        "refused_on_merits",
        "rejected",
        lambda case: case.ending == "refused",
        "NĐ 61/2018/NĐ-CP Art. 19: refused in writing, with the reason, within the limit; TrangThaiHoSo state 3",
    ),
    Rule(
        "supplement_not_answered",
        "stopped",
        lambda case: case.unanswered,
        "NĐ 61/2018/NĐ-CP Art. 17.2: one full request; without an answer the dossier is stopped (state 8)",
    ),
    Rule(
        "withdrawn",
        "stopped",
        lambda case: case.ending == "withdrawn",
        "domain/README.md §7: the applicant takes the dossier back (TrangThaiHoSo state 7); finished for index 2.1",
    ),
    Rule(
        "filed_in_person",
        "on_paper",
        lambda case: case.channel == "direct",
        "NĐ 42/2022/NĐ-CP: end to end means all steps on the network; CĐ 111/CĐ-TTg keeps the counter lawful",
    ),
    Rule(
        "filed_by_post",
        "on_paper",
        lambda case: case.channel == "post",
        "NĐ 42/2022/NĐ-CP: end to end means all steps on the network",
    ),
    Rule(
        "not_offered_end_to_end",
        "partly_online",
        lambda case: case.service_level == "partial",
        "NĐ 42/2022/NĐ-CP: a 'một phần' service",
    ),
    Rule(
        "presence_required",
        "partly_online",
        lambda case: case.presence_required,
        "procedures.csv presence_required; legal test in domain/README.md §4",
    ),
    Rule(
        "original_required",
        "partly_online",
        lambda case: case.original,
        "components.csv fallback=original: the paper original must come",
    ),
    Rule(
        "supplement_on_paper",
        "partly_online",
        lambda case: case.on_paper,
        "legal test in domain/README.md §4: no component on paper, no supplement answered on paper",
    ),
    Rule(
        "paper_asked_anyway",
        "partly_online",
        lambda case: case.asked_anyway,
        "CT 24/CT-TTg: papers integrated in VNeID must not be asked for; a breach, and paper all the same",
    ),
    Rule(
        "fee_not_paid_online",
        "partly_online",
        lambda case: case.fee_due and not case.fee_paid_online,
        "legal test in domain/README.md §4: the fee, if any, is paid online",
    ),
    Rule(
        "electronic_result_missing",
        "partly_online",
        lambda case: case.electronic_result_due and not case.electronic_result,
        "legal test in domain/README.md §4: an electronic result where one is due",
    ),
    Rule(
        "result_fetched_at_counter",
        "partly_online",
        lambda case: case.result_delivery == "counter",
        "NĐ 42/2022/NĐ-CP: the result comes online or by public post",
    ),
)

# The strongest outcome among the reasons is the application's; without a reason it is end to end.
PRECEDENCE: Mapping[Outcome, int] = {
    "rejected": 4,
    "stopped": 3,
    "on_paper": 2,
    "partly_online": 1,
    "end_to_end": 0,
}


def judge(case: Case, rules: Iterable[Rule] = RULES) -> tuple[Outcome, tuple[str, ...]]:
    """Return the outcome and the names of all rules that apply, in the table's order."""
    applying = [rule for rule in rules if rule.applies(case)]
    outcome: Outcome = max((rule.outcome for rule in applying), key=PRECEDENCE.__getitem__, default="end_to_end")
    return outcome, tuple([rule.name for rule in applying])


def proofs_of(facts: SubmissionFacts, answers: Answers, procedure: Procedure) -> tuple[DecidedComponent, ...]:
    """Return where the proof of each needed component comes from (docs/architecture.md, from look-ups to an outcome).

    An office that asks anyway takes the first component on paper that data had replaced; one that asks again asks for
    the first that data had replaced, where anything but data can prove it (CT 24/CT-TTg forbids both).
    """
    proofs = []
    anyway, again = facts.asks_anyway, facts.asks_again
    online = facts.channel == "online"
    for slug, applicant in facts.components:
        proof = _proof_of(procedure.components[slug], applicant, answers.get(slug), online=online)
        if anyway and proof.source == "data":
            anyway = False
            proof = DecidedComponent(slug, "paper", "asked_anyway", proof.database)
        elif again and proof.source == "data" and procedure.components[slug].fallback != "none":
            again = False
            asked = _asked(procedure.components[slug], applicant, online=online)
            proof = DecidedComponent(slug, asked, "asked_again", proof.database)
        proofs.append(proof)
    return tuple(proofs)


def _proof_of(
    component: Component, applicant: ApplicantAnswer, given: DocumentAnswer | None, *, online: bool
) -> DecidedComponent:
    slug = component.slug
    if not component.databases and not component.needs_proof:
        return DecidedComponent(slug, "form", None, None)
    asked = _asked(component, applicant, online=online)
    if not component.databases:
        return DecidedComponent(slug, asked, "no_database", None)
    if given is None:
        return DecidedComponent(slug, asked, "unreachable", component.databases[0])
    if given.answer == "found":
        return DecidedComponent(slug, "data", None, given.database)
    return DecidedComponent(slug, asked, given.answer, given.database)


def _asked(component: Component, applicant: ApplicantAnswer, *, online: bool) -> Source:
    """Return how a component asked for is answered: an original only on paper, an irreplaceable one not online."""
    if component.fallback == "none" and online:
        return "none"
    if component.fallback == "original" and applicant == "upload":
        return "paper"
    return applicant


def case_of(facts: SubmissionFacts, procedure: Procedure, proofs: tuple[DecidedComponent, ...]) -> Case:
    """Return what the rules look at."""
    unanswered = on_paper = original = irreplaceable = asked_anyway = False
    for proof in proofs:
        if proof.cause is None:
            continue
        if proof.cause == "asked_anyway":
            asked_anyway = True
            continue
        fallback = procedure.components[proof.component].fallback
        if fallback == "none" and facts.channel == "online":
            irreplaceable = True
        elif proof.source == "none":
            unanswered = True
        elif proof.source == "paper":
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
        # What is not complete does not come so far.
        None if unanswered or irreplaceable else facts.ending,
    )
