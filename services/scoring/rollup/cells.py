"""Cells: what is counted, and by what; the snapshot of all cells at one moment, and how two snapshots differ. Pure.

A cell's pattern is the combination of outcome, reasons and each component's source, cause and database, as one text:
`outcome|authority|reason,reason|component=source:cause:database;…` with reasons and components sorted. Every part is a
slug of the contract (`[a-z0-9_]`), so the separators cannot occur inside one. Every breakdown is a sum over patterns.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from contracts.events import Authority, Cause, DecidedComponent, Outcome, Source

HASH_SPAN: Final = 2**64


class CellKey(NamedTuple):
    """What a cell counts; `month` is YYYY-MM of decided_at, `pattern` the text of a `Pattern`."""

    month: str
    province: str
    procedure: str
    channel: str
    pattern: str


class Pattern(NamedTuple):
    """A pattern's text taken apart; `reasons` are sorted, `components` too, by slug."""

    outcome: Outcome
    authority: Authority
    reasons: tuple[str, ...]
    components: tuple[DecidedComponent, ...]


# A day has some thousand patterns; building the text costs more than looking it up.
@lru_cache(maxsize=65_536)
def pattern_text(
    outcome: Outcome,
    authority: Authority,
    reasons: tuple[str, ...],
    components: tuple[tuple[str, Source, Cause | None, str | None], ...],
) -> str:
    """Return the text of a pattern's parts, in whatever order they come; components as in `DecidedComponent`."""
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


def _component(part: str) -> DecidedComponent:
    slug, _, place = part.partition("=")
    source, cause, database = place.split(":")
    return DecidedComponent(slug, cast("Source", source), cast("Cause", cause) if cause else None, database or None)


class Measures(NamedTuple):
    """Integer sums over applications; `minutes` are whole minutes from submitted to decided."""

    n: int = 0
    presumed: int = 0
    assisted: int = 0
    on_time: int = 0
    minutes: int = 0


class Fingerprint(NamedTuple):
    """Of one partition: how many applications, and the sum of their content hashes modulo 2**64.

    A loss and a double in the same cell cancel in the counts, not in the sum of the hashes.
    """

    applications: int = 0
    hash_sum: int = 0


def add_cells(cells: dict[CellKey, Measures], changes: Mapping[CellKey, Measures]) -> None:
    """Add sums to cells in place; a cell that comes to nothing is removed."""
    for cell, change in changes.items():
        total = Measures(*[a + b for a, b in zip(cells.get(cell, Measures()), change, strict=True)])
        if any(total):
            cells[cell] = total
        else:
            cells.pop(cell, None)


def add_fingerprints(fingerprints: dict[int, Fingerprint], changes: Mapping[int, Fingerprint]) -> None:
    """Add counts and hash sums to fingerprints in place; an empty partition is removed."""
    for partition, (applications, hash_sum) in changes.items():
        before = fingerprints.get(partition, Fingerprint())
        total = Fingerprint(before.applications + applications, (before.hash_sum + hash_sum) % HASH_SPAN)
        if any(total):
            fingerprints[partition] = total
        else:
            fingerprints.pop(partition, None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Cells and, per partition, a fingerprint. `counters` tell how it came about and are never compared:
    how often an outcome was delivered again depends on the run, what counts does not.
    """

    cells: Mapping[CellKey, Measures]
    fingerprints: Mapping[int, Fingerprint]
    counters: Mapping[str, int] = field(default_factory=dict, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain values in a fixed order, so that equal snapshots give equal bytes; hash sums as hex digits."""
        return {
            "cells": [[*cell, *measures] for cell, measures in sorted(self.cells.items())],
            "fingerprints": {
                str(at): {"applications": applications, "hash_sum": f"{hash_sum:016x}"}
                for at, (applications, hash_sum) in sorted(self.fingerprints.items())
            },
            "counters": dict(sorted(self.counters.items())),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Snapshot":
        """Return the snapshot of `to_json`.

        Raises:
            ValueError: a field is missing or has another shape.

        """
        try:
            return cls(
                {CellKey(*row[:5]): Measures(*map(int, row[5:])) for row in values["cells"]},
                {
                    int(at): Fingerprint(int(entry["applications"]), int(entry["hash_sum"], 16))
                    for at, entry in values["fingerprints"].items()
                },
                {name: int(value) for name, value in values.get("counters", {}).items()},
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                f"snapshot: {error!r}; expected cells and fingerprints as GET /reading gives them"
            ) from error


class CellDifference(NamedTuple):
    """One measure of one cell that two snapshots give differently; a missing cell reads 0."""

    cell: CellKey
    measure: str
    left: int
    right: int

    def __str__(self) -> str:
        where = " ".join(f"{name}={value}" for name, value in self.cell._asdict().items())
        return f"cell {where}: {self.measure} {self.left} != {self.right}"


class PartitionDifference(NamedTuple):
    """A partition whose number of applications or hash sum differs; a missing partition reads 0."""

    partition: int
    measure: str
    left: int
    right: int

    def __str__(self) -> str:
        left, right = (str(v) if self.measure == "applications" else f"{v:016x}" for v in (self.left, self.right))
        return f"partition {self.partition}: {self.measure} {left} != {right}"


Difference = CellDifference | PartitionDifference


def difference(left: Snapshot, right: Snapshot) -> list[Difference]:
    """Return where two snapshots differ, partitions first, each in order; empty means that they agree."""
    return [*_partition_differences(left, right), *_cell_differences(left, right)]


def _partition_differences(left: Snapshot, right: Snapshot) -> Iterator[PartitionDifference]:
    for partition in sorted(left.fingerprints.keys() | right.fingerprints.keys()):
        ours = left.fingerprints.get(partition, Fingerprint())
        theirs = right.fingerprints.get(partition, Fingerprint())
        for measure, a, b in zip(Fingerprint._fields, ours, theirs, strict=True):
            if a != b:
                yield PartitionDifference(partition, measure, a, b)


def _cell_differences(left: Snapshot, right: Snapshot) -> Iterator[CellDifference]:
    for cell in sorted(left.cells.keys() | right.cells.keys()):
        ours, theirs = left.cells.get(cell, Measures()), right.cells.get(cell, Measures())
        for measure, a, b in zip(Measures._fields, ours, theirs, strict=True):
            if a != b:
                yield CellDifference(cell, measure, a, b)
