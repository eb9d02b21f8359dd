"""A domain with other values: what sensitivity runs and reforms change. Pure; nothing here reads a file."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from domain.models import Component, Procedure

if TYPE_CHECKING:
    from domain.catalogue import Domain

# The parameter that is the mean over the provinces, by the column of the profiles that spreads it.
PROFILED: Mapping[str, str] = MappingProxyType({
    "volume_factor": "volume.province_factor",
    "online_share": "channel.online_share_oct_2025",
    "paper_answer_share": "supplement.paper_answer_share",
    "paper_taken_share": "channel.paper_taken_share_no_paper_rule",
    "level2_share": "account.level2_share_of_applicants",
    "online_payment_share": "payment.online_share",
    "electronic_result_share": "result.electronic_share",
})  # fmt: skip


def with_values(domain: "Domain", values: Mapping[str, float]) -> "Domain":
    """Return a domain with other values of number parameters, unchecked against their ranges.

    What differs by province (`PROFILED`) moves in every province by as much as the parameter, inside its range.

    Raises ``DomainError`` for an unknown parameter.
    """
    moved = {name: value - domain.number(name) for name, value in values.items()}
    parameters = {name: replace(domain.parameters[name], value=value) for name, value in values.items()}
    shifts = {column: domain.parameters[name] for column, name in PROFILED.items() if moved.get(name)}
    profiles = {
        code: replace(profile, **{
            column: min(max(getattr(profile, column) + moved[each.name], each.low or 0.0), each.high or 1.0)
            for column, each in shifts.items()
        })
        for code, profile in domain.profiles.items()
    }  # fmt: skip
    return replace(domain, parameters={**domain.parameters, **parameters}, profiles=profiles)


def with_procedure(domain: "Domain", code: str, **fields: object) -> "Domain":
    """Return a domain in which one procedure has other fields."""
    return _with_procedures(domain, {code: replace(domain.procedures[code], **fields)})  # type: ignore[arg-type]  # by name


def with_components(
    domain: "Domain", chosen: Callable[[Component], bool], change: Callable[[Component], Component]
) -> "Domain":
    """Return a domain in which the chosen components, of whatever procedure, are changed."""
    return _with_procedures(
        domain,
        {
            code: _with_components(procedure, chosen, change)
            for code, procedure in domain.procedures.items()
            if any(map(chosen, procedure.components.values()))
        },
    )


def _with_procedures(domain: "Domain", changed: Mapping[str, Procedure]) -> "Domain":
    return replace(domain, procedures=MappingProxyType({**domain.procedures, **changed}))


def _with_components(
    procedure: Procedure, chosen: Callable[[Component], bool], change: Callable[[Component], Component]
) -> Procedure:
    components = {slug: change(each) if chosen(each) else each for slug, each in procedure.components.items()}
    proofs = tuple([each for each in components.values() if each.needs_proof])
    return replace(procedure, components=MappingProxyType(components), proofs=proofs)
