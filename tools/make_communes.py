"""Write ``data/communes.csv`` from the package ``vietnam-provinces``.

Needs the development dependency ``vietnam-provinces`` (2025.10.1 was used; its data are of
2025-10-18). Run from the project root: ``python -m tools.make_communes``.
Exits with an error, and writes nothing, when a province's number of communes of any kind differs
from ``data/provinces.csv``. The only correction is of spelling: some names carry two spaces.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runtime.command_line import run

DATA = Path(__file__).parents[1] / "domain" / "data"
KINDS = {"xã": "xa", "phường": "phuong", "đặc khu": "dac_khu"}
HEADER = ("code", "name_vi", "kind", "province", "evidence", "basis")

Line = tuple[str, str, str, str, str, str]


def commune_lines(divisions: Iterable[dict[str, Any]], basis: str) -> list[Line]:
    """One line per commune, by province and code; names with single spaces."""
    lines = [
        (
            f"{ward['code']:05d}",
            " ".join(ward["name"].split()),
            KINDS[ward["division_type"]],
            f"{province['code']:02d}",
            "B",
            basis,
        )
        for province in divisions
        for ward in province["wards"]
    ]
    return sorted(lines, key=lambda line: (line[3], line[0]))


def differences(lines: Iterable[Line], provinces: Iterable[dict[str, str]]) -> list[str]:
    """What does not agree with provinces.csv, one sentence each."""
    counts = Counter((line[3], line[2]) for line in lines)
    expected = {(row["code"], kind): int(row[kind]) for row in provinces for kind in KINDS.values()}
    return [
        f"province {code} has {counts[code, kind]} {kind}, provinces.csv says {expected.get((code, kind), 0)}"
        for code, kind in sorted(counts.keys() | expected.keys())
        if counts[code, kind] != expected.get((code, kind), 0)
    ]


def main() -> None:
    import vietnam_provinces as source  # noqa: PLC0415 - only this command needs it

    divisions = json.loads(source.NESTED_DIVISIONS_JSON_PATH.read_text(encoding="utf-8"))
    lines = commune_lines(divisions, f"vietnam-provinces {source.__version__}")
    with (DATA / "provinces.csv").open(encoding="utf-8", newline="") as file:
        wrong = differences(lines, csv.DictReader(file))
    if wrong:
        raise SystemExit("communes.csv not written:\n" + "\n".join(wrong))
    with (DATA / "communes.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *lines])


if __name__ == "__main__":
    run(main)
