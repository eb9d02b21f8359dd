"""The one error of the data files: it says where and what to do."""

from collections.abc import Iterable


class DomainError(ValueError):
    """A data file is broken or a name is unknown.

    The message reads ``<file> row <n>, field <f>: <what>; <what to do>``. Rows are counted as a
    spreadsheet shows them: the header is row 1. A check of a whole column names a range of rows.
    """

    def __init__(self, file: str, row: int | str, field: str, what: str, remedy: str) -> None:
        super().__init__(f"{file} row {row}, field {field}: {what}; {remedy}")
        self.file = file
        self.row = row
        self.field = field
        self.what = what
        self.remedy = remedy


def near_match(name: str, known: Iterable[str]) -> str:
    """Advice for an unknown name: the nearest known ones, or where to look."""
    from difflib import get_close_matches  # noqa: PLC0415 - slow to import, and only an error needs it

    near = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else "see the file for the known names"
