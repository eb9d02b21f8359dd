"""Tables as CSV: one line per row, numerators and denominators beside every rate."""

import csv
import io
from collections.abc import Iterable, Sequence

from services.scoring.rates.definitions import DEFINITIONS
from services.scoring.rates.rates import RateRow
from services.scoring.rates.why import WhyTable


def rates_csv(sections: Iterable[tuple[str, Sequence[RateRow]]]) -> str:
    """Return the rows of each named section; an absent rate, rank or published figure is an empty cell."""
    header = ["section", "key", "name_vi", "name_en", "rank", "applications", "assisted", "papers_avoided"]
    for name in DEFINITIONS:
        header += [f"{name}_numerator", f"{name}_denominator", name, f"{name}_published"]
    return _written([header, *[_rate_line(section, row) for section, rows in sections for row in rows]])


def _rate_line(section: str, row: RateRow) -> list[object]:
    line: list[object] = [section, row.key, row.name_vi, row.name_en, row.rank]
    line += [row.applications, row.assisted, row.papers_avoided]
    for name in DEFINITIONS:
        rate, published = row.rates[name], row.published.get(name)
        line += [rate.numerator, rate.denominator, rate.value, published.value if published else None]
    return line


def why_csv(table: WhyTable) -> str:
    """Return reasons, components and databases as sections of one table."""
    header = [
        "section",
        "key",
        "procedure",
        "cause",
        "database",
        "name_vi",
        "name_en",
        "applications",
        "blocking",
        "alone",
    ]
    lines: list[list[object]] = [
        ["reason", row.reason, None, None, None, row.name_vi, row.name_en, row.applications, None, row.alone]
        for row in table.reasons
    ]
    for part in table.components:
        place = [part.component, part.procedure, part.cause, part.database, part.name_vi, part.name_en]
        lines.append(["component", *place, part.applications, part.blocking, part.alone])
    for base in table.databases:
        place = [base.database, None, None, base.database, base.name_vi, base.name_en]
        lines.append(["database", *place, None, base.blocking, base.alone])
    return _written([header, *lines])


def _written(lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
