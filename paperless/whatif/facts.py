"""A setting of the levers as data files: what the services have to know to decide in its world.

What the levers change about procedures and look-ups becomes a dated reform, beside the packaged facts, so settings of
several days fit into one folder. What they change about people and offices is in the submissions.
"""

import csv
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from domain import SUPPOSED, Component, Procedure, packaged_facts
from domain.reform_files import REFORM_COLUMNS, STEP_COLUMNS
from paperless.population.arrivals import SimulatedDay
from paperless.whatif.levers import SETTABLE

# Of a procedure; `fallback` is a component's.
_FIELDS: Final = tuple([field for field in SETTABLE if field != "fallback"])


class SupposedStep(NamedTuple):
    """A field of the facts that has another value on one day: the cells of a row of reform_steps.csv."""

    day: date
    table: str
    key: str
    field: str
    value: str

    def cells(self) -> tuple[str, ...]:
        """Return the row; its range is its value, which nobody has measured."""
        day, bound = self.day.isoformat(), self.value if self.table == "look_up" else ""
        supposed = "what if levers stood so"
        return (SUPPOSED, day, day, self.table, self.key, self.field, "set", self.value, bound, bound, "C", supposed)


def steps_of(usual: SimulatedDay, supposed: SimulatedDay) -> Iterator[SupposedStep]:
    """Yield what is different about the procedures of a supposed day."""
    for before, after in zip(usual.procedures, supposed.procedures, strict=True):
        if before != after:
            yield from _procedure(usual.date, before, after)
            for slug, component in before.components.items():
                yield from _component(usual.date, component, after.components[slug])


def _procedure(day: date, before: Procedure, after: Procedure) -> Iterator[SupposedStep]:
    for field in _FIELDS:
        if getattr(before, field) != getattr(after, field):
            yield SupposedStep(day, "procedure", before.code, field, _text(getattr(after, field)))


def _component(day: date, before: Component, after: Component) -> Iterator[SupposedStep]:
    key = f"{before.procedure}/{before.slug}"
    if before.fallback != after.fallback:
        yield SupposedStep(day, "component", key, "fallback", after.fallback)
    for database, usual, rate in zip(before.databases, before.usable_rates, after.usable_rates, strict=True):
        if usual != rate:
            yield SupposedStep(day, "look_up", f"{key}/{database}", "usable_rate", repr(rate))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_facts(folder: Path, steps: Iterable[SupposedStep]) -> None:
    """Write the packaged facts with supposed steps into a folder that exists; services read it as `PAPERLESS_DOMAIN`.

    Raises:
        OSError: it cannot be written.

    """
    for file in packaged_facts().iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    rows = [step.cells() for step in steps]
    if rows:
        title = ("Giả định", "A supposition", "paperless whatif", "C", "")
        _append(folder / "reforms.csv", REFORM_COLUMNS, [(SUPPOSED, *title)])
        _append(folder / "reform_steps.csv", STEP_COLUMNS, rows)


def _append(file: Path, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Add rows at the end, where their steps are the last word on a day."""
    with file.open("r+", encoding="utf-8", newline="") as text:
        header = next(csv.reader(text))
        text.seek(0, 2)
        writer = csv.DictWriter(text, header, lineterminator="\n")
        writer.writerows(dict(zip(columns, row, strict=True)) for row in rows)
