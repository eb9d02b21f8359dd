"""What each database knows of each citizen's documents: a pure function of seed, citizen, document and event date.

The same citizen and document get the same answer in every application, at every attempt and in every run of one seed.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from contracts.draws import DRAWS_PER_DIGEST, WORD_SPAN, words
from domain import Component, load_domain
from services.vneid_mock.personas import PERSONAS

RegistryAnswer = Literal["found", "missing", "mismatch"]

# A paper's `in_force_from` is a term of the autumn of 2025 only up to this day. Later rules (QĐ 3458/QĐ-BTP of
# 2025-12-10) are no term: components.csv names civil status data for these papers already, from portal texts.
LAST_APPLIED_RULE = date(2025, 11, 30)

# The last draw of a digest times the look-up; the others belong to the databases.
_LATENCY = DRAWS_PER_DIGEST - 1


class Finding(NamedTuple):
    """The answer of a look-up, the database that gave it, and where in 0..1 its latency lies."""

    answer: RegistryAnswer
    database: str
    latency: float = 0.5


class _Search(NamedTuple):
    """A database and its draw; rates are scaled to words, exactly: by a power of two."""

    database: str
    draw: int
    usable_below: float
    mismatch_below: float
    in_force_from: date | None


@dataclass(frozen=True, slots=True)
class LookUp:
    """A component made ready for look-ups; `document` names it in draws, `searches` are in the order of look-up."""

    slug: str
    position: int
    databases: tuple[str, ...]
    document: str
    searches: tuple[_Search, ...]

    def find(self, seed: int, citizen_number: str, as_of: datetime) -> Finding:
        """Return what the databases say; see `look_up`."""
        persona = PERSONAS.get(citizen_number)
        if persona is not None:
            return Finding(persona.answer, self.databases[0])
        drawn = words(seed, "registry", citizen_number, self.document)
        mismatched = ""
        for database, draw, usable_below, mismatch_below, in_force_from in self.searches:
            if in_force_from is not None and as_of.date() < in_force_from:
                continue
            word = drawn[draw]
            if word < usable_below:
                return Finding("found", database, drawn[_LATENCY] / WORD_SPAN)
            if word < mismatch_below:
                mismatched = mismatched or database
        if mismatched:
            return Finding("mismatch", mismatched, drawn[_LATENCY] / WORD_SPAN)
        return Finding("missing", self.databases[0], drawn[_LATENCY] / WORD_SPAN)


def look_up(seed: int, citizen_number: str, component: Component, as_of: datetime) -> Finding:
    """Walk a component's databases in order and return the first usable finding.

    One digest per (citizen, document) gives every database its draw by its fixed place in databases.csv: below the
    usable rate the data are usable; above it, `lookup.mismatch_share_of_misses` of the rest are mismatches. Without a
    usable record the answer is `mismatch` if any record mismatched (its database), else `missing` (the first database).
    The document is the component's paper, or the component itself where no paper is named.

    Before its paper's `in_force_from` (event date of `as_of`, +07:00) a database counts as not having the document,
    for dates up to `LAST_APPLIED_RULE`. A persona's answer is promised and comes from the first database.

    Raises:
        ValueError: the component has no database, so nothing can be looked up.

    """
    if not component.databases:
        raise ValueError(f"component {component.procedure}/{component.slug} has no database; ask the applicant for it")
    return prepare(component).find(seed, citizen_number, as_of)


@lru_cache(maxsize=1024)
def prepare(component: Component) -> LookUp:
    """Return the component with its rates and draw positions worked out once."""
    return LookUp(
        component.slug,
        component.position,
        component.databases,
        component.paper or f"{component.procedure}/{component.slug}",
        tuple(
            _search(database, rate, component.paper)
            for database, rate in zip(component.databases, component.usable_rates, strict=True)
        ),
    )


def _search(database: str, rate: float, paper: str) -> _Search:
    mismatch_share = load_domain().number("lookup.mismatch_share_of_misses")
    return _Search(
        database,
        _draw_positions()[database],
        rate * WORD_SPAN,
        (rate + (1 - rate) * mismatch_share) * WORD_SPAN,
        _in_force_from(database, paper),
    )


def _in_force_from(database: str, paper: str) -> date | None:
    known = load_domain().papers.get(paper)
    if known is None or known.database != database or known.in_force_from is None:
        return None
    return known.in_force_from if known.in_force_from <= LAST_APPLIED_RULE else None


@cache
def _draw_positions() -> dict[str, int]:
    positions = {slug: place for place, slug in enumerate(load_domain().databases)}
    if len(positions) > _LATENCY:
        raise ValueError(f"databases.csv has {len(positions)} rows; one digest draws for {_LATENCY} at most")
    return positions
