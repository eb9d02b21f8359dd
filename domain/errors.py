"""The one error of the data files: it says where and what to do."""


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
