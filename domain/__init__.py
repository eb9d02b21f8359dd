"""The administrative facts: provinces, procedures, components, databases, working calendar.

``load_domain()`` gives the facts that this process works with, loaded once; ``load(folder)`` reads others.
"""

from domain.calendar import VN, CalendarRangeError, OfficeHours, WorkingCalendar
from domain.catalogue import Domain
from domain.changes import PROFILED, with_values
from domain.corrections import CorrectionDesk
from domain.errors import DomainError
from domain.linked import spans
from domain.loading import FOLDER_VARIABLE, accepted_draws_text, load, load_domain, packaged_facts
from domain.models import (
    Authority,
    Commune,
    Component,
    ComponentKind,
    Database,
    Evidence,
    Fallback,
    Holiday,
    IndexComponent,
    IndexMeasure,
    Level,
    LimitUnit,
    Observation,
    Outage,
    Paper,
    Parameter,
    Part,
    Procedure,
    Province,
    ProvinceProfile,
    ServiceLevel,
    Target,
)
from domain.reforms import BASE_DAY, SUPPOSED, Reform, Step, applied

__all__ = [
    "BASE_DAY",
    "FOLDER_VARIABLE",
    "PROFILED",
    "SUPPOSED",
    "VN",
    "Authority",
    "CalendarRangeError",
    "Commune",
    "Component",
    "ComponentKind",
    "CorrectionDesk",
    "Database",
    "Domain",
    "DomainError",
    "Evidence",
    "Fallback",
    "Holiday",
    "IndexComponent",
    "IndexMeasure",
    "Level",
    "LimitUnit",
    "Observation",
    "OfficeHours",
    "Outage",
    "Paper",
    "Parameter",
    "Part",
    "Procedure",
    "Province",
    "ProvinceProfile",
    "Reform",
    "ServiceLevel",
    "Step",
    "Target",
    "WorkingCalendar",
    "accepted_draws_text",
    "applied",
    "load",
    "load_domain",
    "packaged_facts",
    "spans",
    "with_values",
]
