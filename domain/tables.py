"""Typed cells of a CSV file; every failure names file, row and field."""

import csv
import io
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time
from importlib.resources.abc import Traversable
from math import isfinite
from pathlib import Path
from typing import NoReturn, TypeVar

from domain.errors import DomainError

Folder = Path | Traversable
T = TypeVar("T")
Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True)
class Row:
    """One record; ``number`` counts as a spreadsheet does, the header being row 1."""

    file: str
    number: int
    cells: dict[str, str]

    def fail(self, field: str, what: str, remedy: str) -> NoReturn:
        raise DomainError(self.file, self.number, field, what, remedy)

    def optional(self, field: str) -> str:
        return self.cells[field]

    def text(self, field: str) -> str:
        value = self.cells[field]
        if not value:
            self.fail(field, "is empty", "write a value")
        return value

    def whole(self, field: str, low: int = 0) -> int:
        value = self._converted(field, int, "a whole number")
        if value < low:
            self.fail(field, f"{value} is below {low}", "correct the number")
        return value

    def real(self, field: str) -> float:
        value = self._converted(field, float, "a number")
        if not isfinite(value):
            self.fail(field, f"{value} is not finite", "write an ordinary number")
        return value

    def share(self, field: str) -> float:
        return self._in_unit(field, self.real(field))

    def shares(self, field: str) -> tuple[float, ...]:
        """A list of shares; an empty cell gives none."""
        values = self._converted(
            field, lambda text: [float(part) for part in text.split(";") if text], "a list of numbers"
        )
        return tuple(self._in_unit(field, value) for value in values)

    def _in_unit(self, field: str, value: float) -> float:
        if not 0 <= value <= 1:
            self.fail(field, f"{value} is not a share", "write a number from 0 to 1")
        return value

    def flag(self, field: str) -> bool:
        return self.choice(field, ("true", "false")) == "true"

    def day(self, field: str) -> date:
        return self._converted(field, date.fromisoformat, "a date")

    def moment(self, field: str) -> time:
        return self._converted(field, time.fromisoformat, "a time of day")

    def maybe(self, field: str, read: Callable[[str], T]) -> T | None:
        """``read(field)``, or None when the cell is empty."""
        return read(field) if self.cells[field] else None

    def choice(self, field: str, options: Sequence[Name]) -> Name:
        value = self.cells[field]
        if value not in options:
            self.fail(field, f"{value!r} is not known", f"write one of {', '.join(options)}")
        return options[options.index(value)]

    def listed(self, field: str) -> tuple[str, ...]:
        value = self.cells[field]
        return tuple(value.split(";")) if value else ()

    def code(self, field: str, digits: int) -> str:
        value = self.cells[field]
        if len(value) != digits or not (value.isascii() and value.isdigit()):
            self.fail(field, f"{value!r} is not a code", f"write {digits} digits and keep leading zeros")
        return value

    def known(self, field: str, value: str, names: Container[str], file: str) -> str:
        """``value``, which must be a key of another file."""
        if value not in names:
            self.fail(field, f"{value!r} is not in {file}", f"correct it or add it to {file}")
        return value

    def _converted(self, field: str, convert: Callable[[str], T], kind: str) -> T:
        value = self.cells[field]
        try:
            return convert(value)
        except ValueError:
            self.fail(field, f"{value!r} is not {kind}", f"write {kind}")


def read_rows(folder: Folder, file: str, columns: Sequence[str]) -> list[Row]:
    """The rows of one file. Extra columns are allowed: they are notes for people.

    Raises ``DomainError`` when the file is absent, is not UTF-8, lacks one of ``columns`` or has
    a row of another length.
    """
    lines = csv.reader(io.StringIO(_text(folder, file), newline=""))
    header = next(lines, [])
    for column in columns:
        if header.count(column) != 1:
            raise DomainError(
                file, 1, column, f"the header has it {header.count(column)} times", "name the column once"
            )
    rows = []
    for number, cells in enumerate(lines, start=2):
        if len(cells) != len(header):
            field = header[min(len(cells), len(header) - 1)]
            raise DomainError(
                file, number, field, f"{len(cells)} cells for {len(header)} columns", "check commas and quotes"
            )
        rows.append(Row(file, number, dict(zip(header, cells, strict=True))))
    if not rows:
        raise DomainError(file, 2, header[0], "the file has no rows", "restore its rows")
    return rows


def by_key(rows: Iterable[tuple[Row, T]], field: str, key: Callable[[T], str]) -> dict[str, T]:
    """Items by key in file order; a key that comes twice is an error of its second row."""
    items: dict[str, T] = {}
    for row, item in rows:
        if key(item) in items:
            row.fail(field, f"{key(item)!r} comes twice", "remove one of the rows")
        items[key(item)] = item
    return items


def _text(folder: Folder, file: str) -> str:
    try:
        raw = folder.joinpath(file).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DomainError(file, "-", "-", "the file is missing", "restore it or name the right folder") from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        raise DomainError(file, row, "-", "is not UTF-8 text", "save the file as UTF-8") from None
