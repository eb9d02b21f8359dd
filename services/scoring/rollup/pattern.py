"""Patterns: the combination of outcome, reasons and each component's source, cause and database, as one canonical text.

`outcome|authority|reason,reason|component=source:cause:database;…` with reasons and components sorted. Every part is a
slug of the contract (`[a-z0-9_]`), so the separators cannot occur inside one. Every breakdown is a sum over patterns.
"""

from functools import lru_cache
from typing import NamedTuple, cast

from contracts.events import Authority, Cause, Outcome, Source


class PatternComponent(NamedTuple):
    """Where the proof of one component came from, and why it did not come from data (`cause` is None: it did)."""

    component: str
    source: Source
    cause: Cause | None
    database: str | None


class Pattern(NamedTuple):
    """A pattern's text taken apart; `reasons` are sorted, `components` too, by slug."""

    outcome: Outcome
    authority: Authority
    reasons: tuple[str, ...]
    components: tuple[PatternComponent, ...]


# A day has some thousand patterns; building the text costs more than looking it up.
@lru_cache(maxsize=65_536)
def pattern_text(
    outcome: Outcome,
    authority: Authority,
    reasons: tuple[str, ...],
    components: tuple[tuple[str, Source, Cause | None, str | None], ...],
) -> str:
    """Return the text of a pattern's parts, in whatever order they come; components as `PatternComponent`."""
    parts = sorted([f"{slug}={source}:{cause or ''}:{database or ''}" for slug, source, cause, database in components])
    return f"{outcome}|{authority}|{','.join(sorted(reasons))}|{';'.join(parts)}"


@lru_cache(maxsize=65_536)
def parse_pattern(text: str) -> Pattern:
    """Return the parts of a pattern's text.

    Raises:
        ValueError: the text is no pattern.

    """
    pieces = text.split("|")
    if len(pieces) != 4:
        raise ValueError(f"pattern {text!r}: expected outcome|authority|reasons|components; was the cell table edited?")
    outcome, authority, reasons, components = pieces
    return Pattern(
        cast("Outcome", outcome),
        cast("Authority", authority),
        tuple(reasons.split(",")) if reasons else (),
        tuple([_component(part) for part in components.split(";")]) if components else (),
    )


def _component(part: str) -> PatternComponent:
    slug, _, place = part.partition("=")
    source, cause, database = place.split(":")
    return PatternComponent(slug, cast("Source", source), cast("Cause", cause) if cause else None, database or None)
