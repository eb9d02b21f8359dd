"""A stored outcome as the API shows it."""

from datetime import datetime
from typing import cast

from contracts.events import Channel
from domain import VN, Domain
from services.scoring.api.models import Application, ApplicationComponent, ApplicationReason
from services.scoring.rates.why import component_names, reason_names
from services.scoring.rollup.pattern import PatternComponent, parse_pattern
from services.scoring.store.schema import StoredOutcome


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


def _component(domain: Domain, procedure: str, part: PatternComponent) -> ApplicationComponent:
    name_vi, name_en = component_names(domain, procedure, part.component)
    return ApplicationComponent(name_vi=name_vi, name_en=name_en, **part._asdict())
