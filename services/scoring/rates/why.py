"""Why applications did not end end to end, by reason, component and database, and what lifting a reason would give.

Pure. Patterns keep the whole combination of reasons and components, so every number is an exact sum, not an estimate.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final, NamedTuple

from contracts.events import Cause, DecidedComponent, Outcome
from domain import Domain
from services.scoring.rates.definitions import DESCRIBED, AuthorityFilter
from services.scoring.rates.rates import Cells, Rate, rate, select
from services.scoring.rollup.cells import Pattern, parse_pattern

SHOWN_PAIRS: Final = 5
# What intake's rules say, for readers: Vietnamese, English.
REASON_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "no_level_2_account": ("Chưa có tài khoản định danh mức 2", "No level-2 account"),
    "not_offered_online": ("Thủ tục chỉ cung cấp thông tin trực tuyến", "Only information is offered online"),
    "component_cannot_be_replaced": ("Thành phần không thể thay thế", "A component that nothing can replace"),
    "refused_on_merits": ("Từ chối giải quyết", "Refused on its merits"),
    "supplement_not_answered": ("Không bổ sung hồ sơ", "The request for a supplement was not answered"),
    "withdrawn": ("Công dân rút hồ sơ", "Withdrawn by the applicant"),
    "filed_in_person": ("Nộp trực tiếp", "Filed in person"),
    "filed_by_post": ("Nộp qua bưu chính", "Filed by post"),
    "not_offered_end_to_end": ("Dịch vụ công một phần", "The service is only partly online"),
    "presence_required": ("Phải có mặt", "Somebody has to appear"),
    "original_required": ("Phải nộp bản chính", "A paper original is required"),
    "supplement_on_paper": ("Bổ sung bằng bản giấy", "The supplement came on paper"),
    "paper_asked_anyway": (
        "Vẫn yêu cầu giấy tờ dù đã có dữ liệu",
        "A paper was asked for although the data were there",
    ),
    "fee_not_paid_online": ("Chưa nộp phí trực tuyến", "The fee was not paid online"),
    "electronic_result_missing": ("Chưa có kết quả điện tử", "No electronic result"),
    "result_fetched_at_counter": ("Nhận kết quả tại quầy", "The result was fetched at the counter"),
}
# Reasons that come from components: lifted when data answer the component.
COMPONENT_REASONS: Final = frozenset({
    "component_cannot_be_replaced",
    "supplement_not_answered",
    "original_required",
    "supplement_on_paper",
    "paper_asked_anyway",
})  # fmt: skip
BLOCKING_SOURCES: Final = frozenset({"paper", "none"})
MISSES: Final = ("missing", "mismatch", "refused", "unreachable", "asked_anyway", "asked_again")


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """A reason why applications did not end end to end."""

    reason: str
    name_vi: str
    name_en: str
    applications: int
    """Applications with this reason among theirs."""
    alone: int
    """Applications with this reason only: they would become end to end."""
    d1_if_lifted: Rate
    upper_bound: bool
    """Some were refused before any look-up: not all of `alone` would get through."""


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two reasons lifted together: more than the sum of each, where applications have both."""

    reasons: tuple[str, str]
    applications: int
    """Applications that have no other reason than these two."""
    d1_if_lifted: Rate
    upper_bound: bool


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """A component that data did not replace, by cause and by the database that was asked."""

    component: str
    procedure: str
    name_vi: str
    name_en: str
    cause: Cause
    database: str | None
    applications: int
    """Applications not end to end with this component and cause."""
    blocking: int
    """Of these: proved on paper or not at all."""
    alone: int
    """Of these: nothing else keeps the application from end to end."""


@dataclass(frozen=True, slots=True)
class DatabaseRow:
    """A database: what its look-ups came to, and what its misses cost. Counts are components."""

    database: str
    name_vi: str
    name_en: str
    found: int
    missing: int
    mismatch: int
    refused: int
    unreachable: int
    asked_anyway: int
    asked_again: int
    blocking: int
    """Applications not end to end with a paper or nothing for its miss."""
    alone: int
    """Of these: nothing else keeps the application from end to end."""


@dataclass(frozen=True, slots=True)
class WhyTable:
    """Why applications did not end end to end; every number is an exact sum over patterns."""

    __pydantic_config__ = DESCRIBED

    province: str | None
    authority: AuthorityFilter
    month: str | None
    procedure: str | None
    applications: int
    end_to_end: int
    not_end_to_end: int
    outcomes: dict[Outcome, int]
    d1: Rate
    reasons: list[ReasonRow]
    pairs: list[PairRow]
    components: list[ComponentRow]
    databases: list[DatabaseRow]


@dataclass(frozen=True, slots=True)
class ReasonSet:
    """Applications that did not end end to end for exactly these reasons."""

    reasons: tuple[str, ...]
    applications: int
    upper_bound: bool
    """Some were refused before any look-up: not all of them would get through."""


@dataclass(frozen=True, slots=True)
class ReasonSets:
    """Every set of reasons: whoever lifts some adds up the sets that these hold, and has D1 exactly."""

    __pydantic_config__ = DESCRIBED

    province: str | None
    authority: AuthorityFilter
    applications: int
    end_to_end: int
    names: dict[str, tuple[str, str]]
    """Of each reason: Vietnamese, English."""
    sets: list[ReasonSet]


class _Case(NamedTuple):
    """All applications of one pattern and procedure."""

    procedure: str
    pattern: Pattern
    n: int

    @property
    def ended_end_to_end(self) -> bool:
        return self.pattern.outcome == "end_to_end"

    def blocking(self) -> list[DecidedComponent]:
        """The components proved on paper or not at all; an upload keeps an application end to end."""
        return [part for part in self.pattern.components if part.source in BLOCKING_SOURCES]

    def is_lifted_with(self, blocking: list[DecidedComponent]) -> bool:
        """Whether data for these components would leave nothing in the way."""
        return self.blocking() == blocking and COMPONENT_REASONS.issuperset(self.pattern.reasons)


def why_table(
    cells: Cells,
    domain: Domain,
    *,
    province: str | None = None,
    authority: AuthorityFilter = "province",
    month: str | None = None,
    procedure: str | None = None,
) -> WhyTable:
    """Return why the selected applications did not end end to end, the costliest first."""
    selected = select(cells, province=province, authority=authority, month=month, procedure=procedure)
    cases = _cases(selected)
    total = sum(case.n for case in cases)
    end_to_end = sum(case.n for case in cases if case.ended_end_to_end)
    outcomes: Counter[Outcome] = Counter()
    for case in cases:
        outcomes[case.pattern.outcome] += case.n
    return WhyTable(
        province=province,
        authority=authority,
        month=month,
        procedure=procedure,
        applications=total,
        end_to_end=end_to_end,
        not_end_to_end=total - end_to_end,
        outcomes=dict(sorted(outcomes.items())),
        d1=rate(end_to_end, total),
        reasons=_reason_rows(cases, end_to_end, total),
        pairs=_pair_rows(cases, end_to_end, total),
        components=_component_rows(cases, domain),
        databases=_database_rows(cases, domain),
    )


def reason_sets(cells: Cells, *, province: str | None = None, authority: AuthorityFilter = "province") -> ReasonSets:
    """Return how many of the selected applications have which set of reasons, the most frequent first."""
    cases = _cases(select(cells, province=province, authority=authority))
    sets, refused = _reason_sets(cases)
    rows = [ReasonSet(tuple(sorted(reasons)), n, reasons in refused) for reasons, n in sets.items()]
    return ReasonSets(
        province=province,
        authority=authority,
        applications=sum(case.n for case in cases),
        end_to_end=sum(case.n for case in cases if case.ended_end_to_end),
        names={reason: reason_names(reason) for reason in sorted({each for reasons in sets for each in reasons})},
        sets=sorted(rows, key=lambda row: (-row.applications, row.reasons)),
    )


def _cases(cells: Cells) -> list[_Case]:
    sums: Counter[tuple[str, str]] = Counter()
    for cell, measures in cells.items():
        sums[cell.procedure, cell.pattern] += measures.n
    return [_Case(procedure, parse_pattern(text), n) for (procedure, text), n in sorted(sums.items())]


def reason_names(reason: str) -> tuple[str, str]:
    """Return a reason's Vietnamese and English name; an unknown one names itself."""
    return REASON_NAMES.get(reason, (reason, reason))


def _reason_sets(cases: list[_Case]) -> tuple[Counter[frozenset[str]], set[frozenset[str]]]:
    """Applications by their set of reasons, and the sets under which some were refused before any look-up."""
    sets: Counter[frozenset[str]] = Counter()
    refused = set()
    for case in cases:
        if not case.ended_end_to_end:
            reasons = frozenset(case.pattern.reasons)
            sets[reasons] += case.n
            if case.pattern.outcome == "rejected" and not case.pattern.components:
                refused.add(reasons)
    return sets, refused


def _reason_rows(cases: list[_Case], end_to_end: int, total: int) -> list[ReasonRow]:
    sets, refused = _reason_sets(cases)
    rows = []
    for reason in sorted({reason for reasons in sets for reason in reasons}):
        alone = sets[frozenset({reason})]
        name_vi, name_en = reason_names(reason)
        rows.append(
            ReasonRow(
                reason=reason,
                name_vi=name_vi,
                name_en=name_en,
                applications=sum(n for reasons, n in sets.items() if reason in reasons),
                alone=alone,
                d1_if_lifted=rate(end_to_end + alone, total),
                upper_bound=frozenset({reason}) in refused,
            )
        )
    return sorted(rows, key=lambda row: (-row.applications, row.reason))


def _pair_rows(cases: list[_Case], end_to_end: int, total: int) -> list[PairRow]:
    """The pairs that lift most, all of them tried: a greedy choice can miss two reasons that always come together."""
    sets, refused = _reason_sets(cases)
    rows = []
    for pair in combinations(sorted({reason for reasons in sets for reason in reasons}), 2):
        inside = [reasons for reasons in sets if reasons and reasons.issubset(pair)]
        lifted = sum(sets[reasons] for reasons in inside)
        if lifted:
            rows.append(
                PairRow(
                    reasons=pair,
                    applications=lifted,
                    d1_if_lifted=rate(end_to_end + lifted, total),
                    upper_bound=any(reasons in refused for reasons in inside),
                )
            )
    return sorted(rows, key=lambda row: (-row.applications, row.reasons))[:SHOWN_PAIRS]


class _Cost:
    """What one thing costs, in applications that did not end end to end."""

    def __init__(self) -> None:
        self.applications = self.blocking = self.alone = 0

    def add(self, case: _Case, components: list[DecidedComponent]) -> None:
        blocking = [part for part in components if part.source in BLOCKING_SOURCES]
        self.applications += case.n
        self.blocking += case.n if blocking else 0
        self.alone += case.n if blocking and case.is_lifted_with(blocking) else 0


def _component_rows(cases: list[_Case], domain: Domain) -> list[ComponentRow]:
    costs: dict[tuple[str, str, Cause, str | None], _Cost] = {}
    for case in cases:
        if case.ended_end_to_end:
            continue
        for part in case.pattern.components:
            if part.cause is not None:
                key = (case.procedure, part.component, part.cause, part.database)
                costs.setdefault(key, _Cost()).add(case, [part])
    rows = [_component_row(domain, key, cost) for key, cost in costs.items()]
    return sorted(rows, key=lambda row: (-row.alone, -row.blocking, row.procedure, row.component, row.cause))


def _component_row(domain: Domain, key: tuple[str, str, Cause, str | None], cost: _Cost) -> ComponentRow:
    procedure, slug, cause, database = key
    name_vi, name_en = component_names(domain, procedure, slug)
    return ComponentRow(
        component=slug,
        procedure=procedure,
        name_vi=name_vi,
        name_en=name_en,
        cause=cause,
        database=database,
        applications=cost.applications,
        blocking=cost.blocking,
        alone=cost.alone,
    )


def component_names(domain: Domain, procedure: str, slug: str) -> tuple[str, str]:
    """Return a component's Vietnamese and English name; an unknown one names itself."""
    component = domain.procedures[procedure].components.get(slug)
    return (component.name_vi, component.name_en) if component else (slug, slug)


def _database_rows(cases: list[_Case], domain: Domain) -> list[DatabaseRow]:
    answers: Counter[tuple[str, str]] = Counter()
    costs: dict[str, _Cost] = {}
    for case in cases:
        for database, components in _by_database(case.pattern):
            for part in components:
                answers[database, part.cause or "found"] += case.n
            missed = [part for part in components if part.cause is not None]
            cost = costs.setdefault(database, _Cost())
            if missed and not case.ended_end_to_end:
                cost.add(case, missed)
    rows = [_database_row(domain, database, answers, cost) for database, cost in costs.items()]
    return sorted(rows, key=lambda row: (-row.blocking, row.database))


def _by_database(pattern: Pattern) -> Iterator[tuple[str, list[DecidedComponent]]]:
    for database in sorted({part.database for part in pattern.components if part.database}):
        yield database, [part for part in pattern.components if part.database == database]


def _database_row(domain: Domain, slug: str, answers: Counter[tuple[str, str]], cost: _Cost) -> DatabaseRow:
    known = domain.databases.get(slug)
    return DatabaseRow(
        database=slug,
        name_vi=known.name_vi if known else slug,
        name_en=known.name_en if known else slug,
        found=answers[slug, "found"],
        blocking=cost.blocking,
        alone=cost.alone,
        **{cause: answers[slug, cause] for cause in MISSES},
    )
