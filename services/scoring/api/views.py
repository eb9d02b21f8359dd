"""A stored outcome as the API shows it."""

from datetime import datetime
from typing import cast

from contracts.events import Channel
from domain import VN, Domain
from services.scoring.api.models import Application, ApplicationComponent, ApplicationReason
from services.scoring.rates.why import component_names, reason_names
from services.scoring.rollup.pattern import PatternComponent, parse_pattern
from services.scoring.store.reader import OutcomeRow


def application_view(row: OutcomeRow, domain: Domain) -> Application:
    """Return an outcome as the API shows it; components and reasons come out of the pattern."""
    pattern = parse_pattern(row.pattern)
    return Application(
        application_id=row.application_id,
        revision=row.revision,
        presumed=bool(row.presumed),
        conflict=bool(row.conflict),
        province=row.province,
        province_name_vi=domain.provinces[row.province].name_vi,
        commune=row.commune or None,
        procedure=row.procedure,
        procedure_name_vi=domain.procedures[row.procedure].name_vi,
        authority=pattern.authority,
        rules_version=row.rules_version or None,
        channel=cast("Channel", row.channel),
        assisted=bool(row.assisted),
        submitted_at=_time(row.submitted_at),
        due_at=_time(row.due_at),
        decided_at=_time(row.decided_at),
        on_time=bool(row.on_time),
        minutes=row.minutes,
        outcome=pattern.outcome,
        reasons=[_reason(reason) for reason in pattern.reasons],
        components=[_component(domain, row.procedure, one) for one in pattern.components],
    )


def _time(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, VN).isoformat()


def _reason(reason: str) -> ApplicationReason:
    name_vi, name_en = reason_names(reason)
    return ApplicationReason(reason=reason, name_vi=name_vi, name_en=name_en)


def _component(domain: Domain, procedure: str, one: PatternComponent) -> ApplicationComponent:
    name_vi, name_en = component_names(domain, procedure, one.component)
    return ApplicationComponent(name_vi=name_vi, name_en=name_en, **one._asdict())
