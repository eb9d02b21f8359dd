"""Readers of the procedures and their components: the 25 services and the other groups.

Both pairs of files have the same columns. The 25 are all of service level ``full``, because the
list itself is one of services done end to end; the groups state theirs.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from types import MappingProxyType
from typing import get_args

from domain.errors import DomainError
from domain.linked import check_whole, read_parts
from domain.models import (
    Authority,
    Component,
    ComponentKind,
    Database,
    Evidence,
    Fallback,
    Level,
    LimitUnit,
    Part,
    Procedure,
    ServiceLevel,
)
from domain.tables import Folder, Row, by_key, read_rows

MARKS: tuple[Evidence, ...] = get_args(Evidence)
LEVELS: tuple[Level, ...] = get_args(Level)
LIMIT_UNITS: tuple[LimitUnit, ...] = get_args(LimitUnit)
FALLBACKS: tuple[Fallback, ...] = get_args(Fallback)
AUTHORITIES: tuple[Authority, ...] = get_args(Authority)
SERVICE_LEVELS: tuple[ServiceLevel, ...] = get_args(ServiceLevel)
COMPONENT_KINDS: tuple[ComponentKind, ...] = get_args(ComponentKind)

COMPONENT_COLUMNS = (
    *("procedure_code", "position", "slug", "name_vi", "name_en", "kind", "needed", "needed_rate"),
    *("databases", "fallback", "evidence", "flow_evidence", "usable_override", "paper"),
)
PROCEDURE_COLUMNS = (
    *("code", "name_vi", "name_en", "ministry", "level", "limit_value", "limit_unit", "fee_online_vnd"),
    *("presence_required", "electronic_result", "evidence", "volume_weight", "counted_in", "result_by_post"),
)
WEIGHT_TOLERANCE = 1e-9

Group = Mapping[str, Component]


@dataclass(frozen=True, slots=True)
class Source:
    """A file of procedures, the file of their components and what the list says of them."""

    procedures: str
    components: str
    in_list_25: bool


LISTED = Source("procedures.csv", "components.csv", in_list_25=True)
OTHER = Source("other_procedures.csv", "other_components.csv", in_list_25=False)


def read_procedures(
    folder: Folder, databases: Mapping[str, Database], papers: Container[str]
) -> Mapping[str, Procedure]:
    """All procedures by code, the 25 first; a code may come in one file only."""
    pairs: list[tuple[Row, Procedure]] = []
    for source in (LISTED, OTHER):
        pairs += _read_source(folder, source, databases, papers)
    return MappingProxyType(by_key(pairs, "code", lambda procedure: procedure.code))


def _read_source(
    folder: Folder, source: Source, databases: Mapping[str, Database], papers: Container[str]
) -> list[tuple[Row, Procedure]]:
    columns = PROCEDURE_COLUMNS if source.in_list_25 else (*PROCEDURE_COLUMNS, "service_level")
    rows = read_rows(folder, source.procedures, columns)
    _check_weights(rows)
    codes = {row.text("code") for row in rows}
    groups = _read_components(folder, source, codes, databases, papers)
    parts = read_parts(folder, codes) if source.in_list_25 else {}
    return [(row, _procedure(row, source, groups, parts)) for row in rows]


def _check_weights(rows: Sequence[Row]) -> None:
    total = sum(row.share("volume_weight") for row in rows)
    if not isclose(total, 1, abs_tol=WEIGHT_TOLERANCE):
        span = f"{rows[0].number}..{rows[-1].number}"
        what = f"the weights sum to {total:.6g}"
        raise DomainError(rows[0].file, span, "volume_weight", what, "make them sum to 1")


def _procedure(
    row: Row, source: Source, groups: Mapping[str, Group], parts: Mapping[str, tuple[Part, ...]]
) -> Procedure:
    code = row.text("code")
    components = groups.get(code)
    if components is None:
        row.fail("code", f"{code!r} has no component", f"add its rows to {source.components}")
    authority = row.choice("counted_in", AUTHORITIES)
    service_level: ServiceLevel = "full" if source.in_list_25 else row.choice("service_level", SERVICE_LEVELS)
    procedure = Procedure(
        code=code,
        name_vi=row.text("name_vi"),
        name_en=row.text("name_en"),
        ministry=row.text("ministry"),
        level=row.choice("level", LEVELS),
        limit_value=_limit_value(row),
        limit_unit=row.choice("limit_unit", LIMIT_UNITS),
        fee_online_vnd=row.whole("fee_online_vnd"),
        presence_required=row.flag("presence_required"),
        electronic_result=row.flag("electronic_result"),
        result_by_post=row.flag("result_by_post"),
        volume_weight=row.share("volume_weight"),
        volume_part=authority if source.in_list_25 else service_level,
        authority=authority,
        service_level=service_level,
        in_list_25=source.in_list_25,
        evidence=row.choice("evidence", MARKS),
        components=components,
        proofs=tuple(component for component in components.values() if component.needs_proof),
        parts=parts.get(code, ()),
    )
    check_whole(row, procedure)
    return procedure


def _limit_value(row: Row) -> int:
    same_day = row.cells["limit_unit"] == "same_day"
    value = row.whole("limit_value", 0 if same_day else 1)
    if same_day and value:
        row.fail("limit_value", f"{value} does not fit same_day", "write 0, or another unit")
    return value


def _read_components(
    folder: Folder, source: Source, codes: Container[str], databases: Mapping[str, Database], papers: Container[str]
) -> Mapping[str, Group]:
    """Components by procedure, each group by slug in position order."""
    rows = read_rows(folder, source.components, COMPONENT_COLUMNS)
    pairs = [(row, _component(row, source, codes, databases, papers)) for row in rows]
    by_key(pairs, "position", lambda item: f"{item.procedure} {item.position}")
    by_key(pairs, "slug", lambda item: f"{item.procedure} {item.slug}")
    groups: dict[str, dict[str, Component]] = {}
    for _, component in sorted(pairs, key=lambda pair: pair[1].position):
        groups.setdefault(component.procedure, {})[component.slug] = component
    return {code: MappingProxyType(group) for code, group in groups.items()}


def _component(
    row: Row, source: Source, codes: Container[str], databases: Mapping[str, Database], papers: Container[str]
) -> Component:
    slugs = row.listed("databases")
    for slug in slugs:
        row.known("databases", slug, databases, "databases.csv")
    paper = row.optional("paper")
    return Component(
        procedure=row.known("procedure_code", row.text("procedure_code"), codes, source.procedures),
        position=row.whole("position", 1),
        slug=row.text("slug"),
        name_vi=row.text("name_vi"),
        name_en=row.text("name_en"),
        kind=row.choice("kind", COMPONENT_KINDS),
        needed_rate=_needed_rate(row),
        databases=slugs,
        usable_rates=_usable_rates(row, [databases[slug] for slug in slugs]),
        fallback=row.choice("fallback", FALLBACKS),
        paper=row.known("paper", paper, papers, "papers.csv") if paper else "",
        evidence=row.choice("evidence", MARKS),
        flow_evidence=row.choice("flow_evidence", MARKS),
    )


def _needed_rate(row: Row) -> float:
    rate = row.share("needed_rate")
    if (row.choice("needed", ("always", "sometimes")) == "always") != (rate == 1):
        row.fail(
            "needed_rate", f"{rate} does not fit {row.cells['needed']!r}", "write 1 for always, less for sometimes"
        )
    return rate


def _usable_rates(row: Row, databases: Sequence[Database]) -> tuple[float, ...]:
    """The override in the order of ``databases``, or each database's own rate."""
    override = row.shares("usable_override")
    if not override:
        return tuple(database.usable_rate for database in databases)
    if len(override) != len(databases):
        row.fail("usable_override", f"{len(override)} rates for {len(databases)} databases", "write one rate each")
    return override
