"""What the API answers beside the tables, which are plain values of `services.scoring.rates`."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, cast

from pydantic import BaseModel, ConfigDict, Field

from contracts.events import Authority, Cause, Channel, DecidedComponent, Outcome, Source
from domain import VN, Domain
from runtime.problems import Problem
from services.scoring.rates.why import component_names, reason_names
from services.scoring.rollup.cells import parse_pattern
from services.scoring.store.schema import StoredOutcome


class View(BaseModel):
    """Base of the answers: frozen, nothing beyond the declared fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ApplicationComponent(View):
    component: str
    name_vi: str
    name_en: str
    source: Source
    cause: Cause | None
    database: str | None


class ApplicationReason(View):
    reason: str
    name_vi: str
    name_en: str


class Application(View):
    """The current outcome of one application; free of personal data. Times carry the offset +07:00."""

    application_id: str
    revision: int
    presumed: bool
    conflict: Annotated[bool, Field(description="Two different submissions were seen under this id.")]
    province: str
    province_name_vi: str
    commune: Annotated[str | None, Field(description="Where it was filed; null if stored by an early version.")]
    procedure: str
    procedure_name_vi: str
    authority: Authority
    rules_version: Annotated[int | None, Field(description="Of the rules that decided it; null as above.")]
    channel: Channel
    assisted: bool
    submitted_at: str
    due_at: str
    decided_at: str
    on_time: bool
    minutes: int
    outcome: Outcome
    reasons: list[ApplicationReason]
    components: list[ApplicationComponent]


class Health(View):
    """Whether answers can be given, and why not."""

    ready: bool
    reasons: list[str]
    store: str
    schema_version: int | None
    next_offsets: dict[int, int]
    closed_before: Annotated[str | None, Field(description="First month whose outcomes are all stored.")] = None


class FieldError(View):
    field: str
    detail: str


class ApiProblem(Problem):
    """An error, with the fields that it is about."""

    errors: tuple[FieldError, ...] = ()


def application_view(stored: StoredOutcome, domain: Domain) -> Application:
    """Return an outcome as the API shows it; components and reasons come out of the pattern."""
    outcome, conflict = stored
    cell, measures, pattern = outcome.cell, outcome.measures, parse_pattern(outcome.cell.pattern)
    return Application(
        application_id=outcome.application_id,
        revision=outcome.revision,
        presumed=bool(measures.presumed),
        conflict=conflict,
        province=cell.province,
        province_name_vi=domain.provinces[cell.province].name_vi,
        commune=outcome.commune or None,
        procedure=cell.procedure,
        procedure_name_vi=domain.procedures[cell.procedure].name_vi,
        authority=pattern.authority,
        rules_version=outcome.rules_version or None,
        channel=cast("Channel", cell.channel),
        assisted=bool(measures.assisted),
        submitted_at=_time(outcome.submitted_at),
        due_at=_time(outcome.due_at),
        decided_at=_time(outcome.decided_at),
        on_time=bool(measures.on_time),
        minutes=measures.minutes,
        outcome=pattern.outcome,
        reasons=[_reason(reason) for reason in pattern.reasons],
        components=[_component(domain, cell.procedure, part) for part in pattern.components],
    )


def _time(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, VN).isoformat()


def _reason(reason: str) -> ApplicationReason:
    name_vi, name_en = reason_names(reason)
    return ApplicationReason(reason=reason, name_vi=name_vi, name_en=name_en)


def _component(domain: Domain, procedure: str, part: DecidedComponent) -> ApplicationComponent:
    name_vi, name_en = component_names(domain, procedure, part.component)
    return ApplicationComponent(name_vi=name_vi, name_en=name_en, **asdict(part))
