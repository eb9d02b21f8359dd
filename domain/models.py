"""What the data files hold, one frozen class per table.

Shares and rates are 0..1, money is in dong, evidence marks are those of ``domain/README.md``
(A read in the source, B press, C assumed, D derived, M from memory).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Literal

ProvinceKind = Literal["city", "province"]
CommuneKind = Literal["xa", "phuong", "dac_khu"]
ComponentKind = Literal["form", "paper"]
Fallback = Literal["upload", "original", "none"]
LimitUnit = Literal["working_day", "hour", "same_day"]
Level = Literal["commune", "province", "sector", "central"]
Authority = Literal["ministry", "province"]
ServiceLevel = Literal["full", "partial", "information"]
# What the provinces' counters record, divided: the 25 services by who runs them, the other groups by their level.
VolumePart = Authority | ServiceLevel
Comparison = Literal["eq", "gt", "lt", "approx"]
Evidence = Literal["A", "B", "C", "D", "M"]
Holder = Literal["person", "organisation"]
TargetRole = Literal["fit", "held out"]
IndexMeasure = Literal[
    "on_time",
    "not_overdue",
    "online_with_result",
    "fees_paid_online",
    "electronic_result",
    "reused_data",
    "population_data",
]
HolidayKind = Literal["holiday", "compensatory_off", "working_saturday"]


@dataclass(frozen=True, slots=True)
class Province:
    """One of the 34 provinces and cities; ``h_code`` opens its dossier codes."""

    code: str
    h_code: str
    name_vi: str
    name_en: str
    kind: ProvinceKind
    population: int
    communes: int
    # Citizen numbers keep the codes from before the merger of 2025-07-01.
    old_codes: tuple[str, ...]
    tile_row: int
    tile_col: int
    # One centre of the province with branches, instead of a centre for each commune.
    single_centre: bool


@dataclass(frozen=True, slots=True)
class Commune:
    """A rural commune, ward or special zone; ``name_vi`` includes the kind, as in an address."""

    code: str
    name_vi: str
    kind: CommuneKind
    province: str


@dataclass(frozen=True, slots=True)
class Database:
    """A national or sector database; ``usable_rate`` is the chance that a look-up is usable."""

    slug: str
    name_vi: str
    name_en: str
    owner: str
    usable_rate: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a procedure's dossier.

    ``databases`` and ``usable_rates`` are in the order of look-up. ``evidence`` marks that the
    document exists, ``flow_evidence`` its rate, databases and fallback.
    """

    procedure: str
    position: int
    slug: str
    name_vi: str
    name_en: str
    kind: ComponentKind
    needed_rate: float
    databases: tuple[str, ...]
    usable_rates: tuple[float, ...]
    fallback: Fallback
    paper: str
    evidence: Evidence
    flow_evidence: Evidence

    @property
    def needs_proof(self) -> bool:
        """A paper, or a form that databases back; a plain form needs none."""
        return self.kind == "paper" or bool(self.databases)

    @property
    def replaceable(self) -> bool:
        """Whether data may replace it."""
        return bool(self.databases)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a linked service, which an office of its own handles.

    ``after`` is the slug of the part that must be done before; empty: it begins when the dossier is complete.
    """

    slug: str
    name_vi: str
    name_en: str
    ministry: str
    level: Level
    after: str
    limit_value: int
    limit_unit: LimitUnit
    fee_online_vnd: int
    presence_required: bool
    electronic_result: bool
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Procedure:
    """One of the 25 services, or a typed group of a province's other procedures.

    ``components`` is by slug in position order; ``proofs`` are those that need proof.
    ``volume_weight`` is the share inside its own file and ``volume_part`` what it is weighed in: see ``Domain.mix``.
    The part stays when a reform changes the service level. ``result_by_post``: what is
    not returned electronically goes by public post by default, instead of being fetched. ``parts``: of a linked
    service, which is one application and done when its last part is.
    """

    code: str
    name_vi: str
    name_en: str
    ministry: str
    level: Level
    limit_value: int
    limit_unit: LimitUnit
    fee_online_vnd: int
    presence_required: bool
    electronic_result: bool
    result_by_post: bool
    volume_weight: float
    volume_part: VolumePart
    authority: Authority
    service_level: ServiceLevel
    in_list_25: bool
    evidence: Evidence
    components: Mapping[str, Component] = field(hash=False)
    proofs: tuple[Component, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def can_be_end_to_end(self) -> bool:
        """Whether it counts in the denominator of D2.

        The strict variant: full service level and nobody has to appear. So nos. 2 (identity
        card) and 11 (marriage) are out although they are in the list of 25.
        """
        return self.service_level == "full" and not self.presence_required


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper of a person or organisation and the database that may replace it."""

    slug: str
    name_vi: str
    name_en: str
    holder: Holder
    database: str
    issuer: str
    integrated: bool
    basis: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Parameter:
    """A starting value with the range for sensitivity runs; unit ``date`` holds a date.

    ``prior`` is what was assumed before the value was fitted to published figures; of all others it is the value.
    """

    name: str
    value: float | date
    prior: float | None
    unit: str
    low: float | None
    high: float | None
    basis: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Observation:
    """A published figure, for comparison only; an absent date was not stated."""

    scope: str
    name: str
    h_code: str
    period_start: date | None
    period_end: date | None
    metric: str
    value: float
    unit: str
    comparison: Comparison
    source: str
    evidence: Evidence
    note: str


@dataclass(frozen=True, slots=True)
class Target:
    """A published figure that a simulated day is held against (`paperless fidelity`).

    ``role``: assumed values may be fitted to it, or it is held out. ``tolerance`` is in points (hundredths of a share);
    ``day`` is the simulated day.
    """

    observation: Observation
    role: TargetRole
    tolerance: float
    day: date
    basis: str


@dataclass(frozen=True, slots=True)
class IndexComponent:
    """A component of the index of Decision 766 (QĐ 766/QĐ-TTg), 100 points in all.

    ``measure`` is the rate that scores it, empty where the model has none; ``basis`` says why not. Without a
    ``target`` a rate of 1 gives all points.
    """

    code: str
    group: str
    name_vi: str
    name_en: str
    points: int
    target: float | None
    measure: IndexMeasure | Literal[""]
    evidence: Evidence
    basis: str


@dataclass(frozen=True, slots=True)
class ProvinceProfile:
    """How one province differs from the country.

    ``volume_factor`` multiplies ``volume.dossiers_per_1000_per_30d``; everything else is a share.
    ``evidence`` is by field name.
    """

    code: str
    volume_factor: float
    online_share: float
    paper_answer_share: float
    paper_taken_share: float
    level2_share: float
    online_payment_share: float
    electronic_result_share: float
    evidence: Mapping[str, Evidence] = field(hash=False)
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Outage:
    """A published incident; the window is a time of day, ``duration_h`` is in hours."""

    no: int
    start_date: date
    end_date: date
    window_start: time | None
    window_end: time | None
    system: str
    kind: str
    duration_h: float | None
    effect: str
    scenario: str
    source: str
    evidence: Evidence
    note: str


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day that differs from its weekday: off, or a Saturday that is worked."""

    date: date
    name_vi: str
    kind: HolidayKind
    evidence: Evidence
    basis: str
