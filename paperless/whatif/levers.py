"""The levers: what somebody could change, read from data files.

A lever's value is how much of the way to its best is gone: 0 is as today, 1 is its best. That means the same in every
province, however far each is. Some levers are decisions, which are taken or not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Final, get_args

from domain import DomainError, Evidence
from domain.tables import Folder, Row, by_key, read_rows
from paperless.population.shares import Shares

BASE: Final = 0.0
BEST: Final = 1.0
COLUMNS = (
    *(
        "name",
        "name_vi",
        "name_en",
        "best_vi",
        "best_en",
        "shares",
        "databases",
        "procedures",
        "set",
        "removes",
        "whole",
    ),
    *("owner_vi", "owner_en", "source", "evidence"),
)
COST_COLUMNS = ("name", "cost", "basis", "evidence")
MARKS: tuple[Evidence, ...] = get_args(Evidence)
# What `set` may name: a field of a procedure and how its text is read; `fallback` is that of all its components.
SETTABLE: Final[Mapping[str, Callable[[str], object]]] = {
    "service_level": str,
    "presence_required": lambda text: text == "true",
    "electronic_result": lambda text: text == "true",
    "fallback": str,
}

# By lever: its value, 0..1; what is not named is at its base.
Setting = Mapping[str, float]
NOTHING: Setting = MappingProxyType({})


class LeverError(ValueError):
    """No such lever, or no such value of it; says what to write."""


@dataclass(frozen=True, slots=True)
class Lever:
    """One thing that somebody could change.

    Attributes:
        name: how it is called on the command line and in JSON.
        names: Vietnamese and English.
        bests: what holds at its best, in both languages.
        shares: fields of `Shares` with their best.
        databases: whose usable rate becomes 1; with `!` in front, all but these.
        procedures: codes of those that it changes.
        changes: fields of these procedures with their new value.
        removes: whether these procedures disappear.
        whole: whether it is a decision, at 0 or 1 only.
        owners: who decides, in both languages.
        source: what is known, and where from.
        evidence: the mark of the weakest number that its effect rests on.

    """

    name: str
    names: tuple[str, str]
    bests: tuple[str, str]
    shares: Mapping[str, float]
    databases: str
    procedures: tuple[str, ...]
    changes: Mapping[str, object]
    removes: bool
    whole: bool
    owners: tuple[str, str]
    source: str
    evidence: Evidence

    def cleans(self, database: str) -> bool:
        """Whether it makes a database usable."""
        named = self.databases.removeprefix("!").split(";")
        return bool(self.databases) and (database in named) != self.databases.startswith("!")


Levers = Mapping[str, Lever]


def load_levers(folder: Folder | None = None) -> Levers:
    """Read `levers.csv`; None means the packaged one. Raises ``DomainError`` for whatever is broken."""
    rows = read_rows(folder or _data(), "levers.csv", COLUMNS)
    return MappingProxyType(by_key([(row, _lever(row)) for row in rows], "name", lambda lever: lever.name))


def load_costs(file: Path | None = None) -> Mapping[str, float]:
    """Read the cost of each lever at its best, in points (`lever_costs.csv`, all assumed); None means the packaged.

    Raises ``DomainError`` for a file that is broken, or names other levers than there are.
    """
    folder, name = (file.parent, file.name) if file else (_data(), "lever_costs.csv")
    rows = read_rows(folder, name, COST_COLUMNS)
    costs = by_key([(row, (row.text("name"), row.real("cost"))) for row in rows], "name", lambda pair: pair[0])
    if set(costs) != set(load_levers()):
        odd = ", ".join(sorted(set(costs) ^ set(load_levers())))
        raise DomainError(name, "-", "name", f"{odd} is not in both files", "write one row for each lever")
    return dict(costs.values())


def _data() -> Folder:
    return files("domain") / "data"


def _lever(row: Row) -> Lever:
    changes = dict(part.split("=") for part in row.listed("set"))
    for name in changes:
        row.known("set", name, SETTABLE, "the fields that a lever may set")
    shares = dict(part.split("=") for part in row.listed("shares"))
    for name in shares:
        row.known("shares", name, Shares.model_fields, "the shares of the population")
    return Lever(
        name=row.text("name"),
        names=(row.text("name_vi"), row.text("name_en")),
        bests=(row.text("best_vi"), row.text("best_en")),
        shares={name: float(best) for name, best in shares.items()},
        databases=row.optional("databases"),
        procedures=row.listed("procedures"),
        changes={name: SETTABLE[name](text) for name, text in changes.items()},
        removes=row.flag("removes"),
        whole=row.flag("whole"),
        owners=(row.text("owner_vi"), row.text("owner_en")),
        source=row.text("source"),
        evidence=row.choice("evidence", MARKS),
    )
