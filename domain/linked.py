"""Linked services (liên thông): one application of several parts, each of an office and with a limit of its own."""

from collections.abc import Container, Mapping, Sequence
from typing import get_args

from domain.models import Evidence, Level, LimitUnit, Part, Procedure
from domain.tables import Folder, Row, by_key, read_rows

FILE = "linked_parts.csv"
LEVELS: tuple[Level, ...] = get_args(Level)
# Of what is due on the day itself, and in days: a linked service counts in nothing shorter.
LIMIT_UNITS: tuple[LimitUnit, ...] = ("working_day", "same_day")
COLUMNS = (
    *("procedure_code", "position", "slug", "name_vi", "name_en", "ministry", "level", "after", "limit_value"),
    *("limit_unit", "fee_online_vnd", "presence_required", "electronic_result", "evidence"),
)


def spans(parts: Sequence[Part], minutes: Mapping[str, int]) -> Mapping[str, tuple[int, int]]:
    """Return when each part begins and ends, in working minutes after the dossier is complete.

    A part begins when the one that it waits for is done; the application is done when its last part is.
    """
    begun_and_ended: dict[str, tuple[int, int]] = {}
    for part in parts:
        begin = begun_and_ended[part.after][1] if part.after else 0
        begun_and_ended[part.slug] = begin, begin + minutes[part.slug]
    return begun_and_ended


def read_parts(folder: Folder, codes: Container[str]) -> Mapping[str, tuple[Part, ...]]:
    """Parts by the code of the linked service, in the order of their positions."""
    rows = read_rows(folder, FILE, COLUMNS)
    by_key(
        [(row, row) for row in rows], "position", lambda row: f"{row.text('procedure_code')} {row.cells['position']}"
    )
    parts: dict[str, tuple[Part, ...]] = {}
    for row in sorted(rows, key=lambda row: row.whole("position", 1)):
        code = row.known("procedure_code", row.text("procedure_code"), codes, "procedures.csv")
        earlier = parts.get(code, ())
        parts[code] = (*earlier, _part(row, {part.slug for part in earlier}))
    return parts


def _part(row: Row, earlier: Container[str]) -> Part:
    slug, after = row.text("slug"), row.cells["after"]
    if slug in earlier:
        row.fail("slug", f"{slug!r} comes twice", "remove one of the rows")
    if after and after not in earlier:
        row.fail("after", f"{after!r} is no earlier part", "name one of a lower position, or none")
    unit = row.choice("limit_unit", LIMIT_UNITS)
    return Part(
        slug=slug,
        name_vi=row.text("name_vi"),
        name_en=row.text("name_en"),
        ministry=row.text("ministry"),
        level=row.choice("level", LEVELS),
        after=after,
        limit_value=row.whole("limit_value", 0 if unit == "same_day" else 1),
        limit_unit=unit,
        fee_online_vnd=row.whole("fee_online_vnd"),
        presence_required=row.flag("presence_required"),
        electronic_result=row.flag("electronic_result"),
        evidence=row.choice("evidence", tuple(get_args(Evidence))),
    )


def check_whole(row: Row, procedure: Procedure) -> None:
    """Hold a linked service against its parts.

    It is end to end where every part is, costs what they cost together, and leaves the time that the longest chain of
    them takes.

    Raises:
        DomainError: the row of the procedure says something else.

    """
    parts = procedure.parts
    if not parts:
        return
    whole: Mapping[str, object] = {
        "fee_online_vnd": sum(part.fee_online_vnd for part in parts),
        "presence_required": any(part.presence_required for part in parts),
        "electronic_result": all(part.electronic_result for part in parts),
        "limit_unit": "working_day",
    }
    for field, value in whole.items():
        if getattr(procedure, field) != value:
            row.fail(field, f"its parts come to {value}", f"correct it, or its rows of {FILE}")
    days = max(end for _, end in spans(parts, {part.slug: max(part.limit_value, 1) for part in parts}).values())
    if procedure.limit_value != days:
        row.fail("limit_value", f"its longest chain of parts takes {days} days", f"correct it, or its rows of {FILE}")
