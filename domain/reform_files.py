"""Readers of reforms.csv and reform_steps.csv; every failure names file, row and field."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

from domain.errors import near_match
from domain.models import Component, Evidence
from domain.reforms import BASE_DAY, FIELDS, HOWS, LASTING, SUPPOSED, Reform, Step, Table, Value
from domain.tables import Folder, Row, by_key, read_rows

if TYPE_CHECKING:
    from domain.catalogue import Domain

MARKS: tuple[Evidence, ...] = get_args(Evidence)
TABLES: tuple[Table, ...] = get_args(Table)
REFORM_COLUMNS = ("name", "title_vi", "title_en", "source", "evidence", "basis")
STEP_COLUMNS = (
    *("reform", "from", "until", "table", "key", "field", "how", "value", "low", "high", "evidence", "basis"),
)


def read_reforms(folder: Folder, domain: "Domain") -> Mapping[str, Reform]:
    """Reforms by name with their steps in file order; a step names what ``domain`` has."""
    rows = by_key([(row, row) for row in read_rows(folder, "reforms.csv", REFORM_COLUMNS)], "name", _name)
    steps: dict[str, list[Step]] = {name: [] for name in rows}
    for row in read_rows(folder, "reform_steps.csv", STEP_COLUMNS):
        steps[row.known("reform", row.text("reform"), rows, "reforms.csv")].append(_step(row, domain))
    return MappingProxyType({name: _reform(row, tuple(steps[name])) for name, row in rows.items()})


def _name(row: Row) -> str:
    return row.text("name")


def _reform(row: Row, steps: tuple[Step, ...]) -> Reform:
    if not steps:
        row.fail("name", f"{row.cells['name']!r} has no step", "add its rows to reform_steps.csv")
    return Reform(
        name=row.text("name"),
        title_vi=row.text("title_vi"),
        title_en=row.text("title_en"),
        source=row.text("source"),
        evidence=row.choice("evidence", MARKS),
        basis=row.optional("basis"),
        steps=steps,
    )


def _step(row: Row, domain: "Domain") -> Step:
    table = row.choice("table", TABLES)
    field = row.choice("field", tuple(FIELDS[table]))
    kind = FIELDS[table][field]
    step = Step(
        start=row.maybe("from", row.day),
        end=row.maybe("until", row.day),
        table=table,
        key=_key(row, table, domain),
        field=field,
        how=row.choice("how", HOWS if kind is float else HOWS[:1]),
        value=_value(row, kind),
        low=row.maybe("low", row.real),
        high=row.maybe("high", row.real),
        evidence=row.choice("evidence", MARKS),
        basis=row.text("basis"),
        row=row.number,
    )
    _check_days(row, step)
    _check_range(row, step)
    return step


def _key(row: Row, table: Table, domain: "Domain") -> str:
    key, known = row.text("key"), tuple(_KEYS[table](domain))
    if key not in known:
        row.fail("key", f"{key!r} is no {table} that may change by day", near_match(key, known))
    return key


def _components(domain: "Domain") -> Iterator[tuple[str, Component]]:
    for code, procedure in domain.procedures.items():
        for slug, component in procedure.components.items():
            yield f"{code}/{slug}", component


# What a step's key may be.
_KEYS: Mapping[Table, Callable[["Domain"], Iterable[str]]] = MappingProxyType({
    "parameter": lambda domain: [name for name in domain.parameters if not name.startswith(LASTING)],
    "procedure": lambda domain: domain.procedures,
    "component": lambda domain: [key for key, _ in _components(domain)],
    "look_up": lambda domain: [f"{key}/{slug}" for key, each in _components(domain) for slug in each.databases],
    "database": lambda domain: domain.databases,
    "paper": lambda domain: domain.papers,
})  # fmt: skip


def _value(row: Row, kind: type[float] | type[bool] | tuple[str, ...]) -> Value:
    if isinstance(kind, tuple):
        return row.choice("value", kind)
    return row.flag("value") if kind is bool else row.real("value")


def _check_days(row: Row, step: Step) -> None:
    if step.start is not None and step.end is not None and step.end < step.start:
        row.fail("until", f"{step.end} is before {step.start}", "correct from or until")
    if step.holds(BASE_DAY) and row.cells["reform"] != SUPPOSED:
        field = "until" if step.start is None else "from"
        row.fail(field, f"holds on {BASE_DAY}, the day that the other files describe", "write its value there instead")


def _check_range(row: Row, step: Step) -> None:
    """What is assumed has a range around its value; flags and words have none."""
    if isinstance(step.value, bool | str):
        return
    if step.evidence == "C" and None in {step.low, step.high}:
        row.fail("low", "an assumed value has no range", "write low and high")
    if (step.low is not None and step.value < step.low) or (step.high is not None and step.value > step.high):
        row.fail("value", f"{step.value:g} is outside {row.cells['low']}..{row.cells['high']}", "correct one of them")
