"""What a person reads: a console of some width, in one language; on request with all columns."""

import os
from collections.abc import Sequence
from typing import Final, NamedTuple

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from paperless.language import Language, Texts, language_of, texts

# Where no terminal gives a width.
USUAL_WIDTH: Final = 80
# Room for every column of every table.
FULL_WIDTH: Final = 200


class Column(NamedTuple):
    """A column of a table: numbers to the right; `width` is the most that a text takes before it goes on below."""

    title: str
    number: bool = True
    width: int | None = None
    wide: bool = False


class Terminal:
    """Says sentences of a catalogue and shows tables."""

    def __init__(self, told_in: Texts, console: Console, *, wide: bool = False) -> None:
        self.texts, self.console, self.wide = told_in, console, wide

    def say(self, key: str, /, *, style: str | None = None, **values: object) -> None:
        """Print the sentence of a key."""
        self.line(self.texts(key, **values), style=style)

    def line(self, text: str, *, style: str | None = None) -> None:
        """Print a line as it is: a path or a long name is not broken, and no bracket is taken for a style."""
        self.console.print(text, style=style, markup=False, soft_wrap=True)

    def show(self, *shown: RenderableType) -> None:
        """Print tables, or what else is drawn."""
        for each in shown:
            self.console.print(each)


def table(
    title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, wide: bool = False, note: str = ""
) -> RenderableType:
    """Return a table under its title and a note; columns that are `wide` are left out of the usual one."""
    shown = [number for number, column in enumerate(columns) if wide or not column.wide]
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number in shown:
        column = columns[number]
        drawn.add_column(
            Text(column.title),
            justify="right" if column.number else "left",
            no_wrap=column.number,
            max_width=None if wide else column.width,
        )
    for row in rows:
        drawn.add_row(*[Text(row[number]) for number in shown])
    return Group(Text(title, style="bold"), *([Text(note)] if note else []), drawn)


def open_terminal(language: Language | None = None, *, wide: bool = False) -> Terminal:
    """Return the terminal of a command: in this language or the locale's, of its own width or the usual one."""
    console = Console(highlight=False)
    if wide or not console.is_terminal:
        width = max(FULL_WIDTH if wide else USUAL_WIDTH, console.width if console.is_terminal else 0)
        console = Console(highlight=False, width=width)
    return Terminal(texts(language or language_of(os.environ)), console, wide=wide)
