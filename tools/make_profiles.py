"""The domain's ``data/province_profiles.csv``: how the provinces differ from the country.

Deterministic. Figures published for autumn 2025 stay as they are; the other provinces are spread inside low..high of
the parameter, ranked by a hash of column and code, and shifted together until the mean equals the parameter. The mean
is weighted by population for the volume, by dossiers for all shares.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import exp, log
from pathlib import Path

DATA = Path(__file__).parents[1] / "domain" / "data"
STEPS = 60
SPREAD_BASIS = "spread by province assumed"


@dataclass(frozen=True, slots=True)
class Column:
    """``spread`` is the distance of the extreme provinces from the middle, in logits of low..high."""

    name: str
    parameter: str
    spread: float
    published: Mapping[str, tuple[float, str, str]]


# (value, evidence, source); volume factors are dossiers / population / days x 30,000 / 28.
COLUMNS = (
    Column(
        "volume_factor",
        "volume.province_factor",
        1.6,
        {
            "79": (1.12, "D", "452,000 dossiers in 8/2025"),
            "01": (1.01, "D", "communes 531,269 in 85 days, / 0.75 for all levels"),
            "11": (0.48, "D", "just under 15,000 in 50 days"),
            "15": (1.29, "D", "more than 163,000 in 76 days"),
        },
    ),
    Column(
        "online_share",
        "channel.online_share_oct_2025",
        1.0,
        {
            "79": (0.965, "B", "8/2025"),
            "01": (0.597, "B", "communes 7-9/2025"),
            "46": (0.95, "B", "14/7/2025"),
        },
    ),
    Column("paper_answer_share", "supplement.paper_answer_share", 1.2, {}),
    Column("paper_taken_share", "channel.paper_taken_share_no_paper_rule", 0.9, {}),
    Column("level2_share", "account.level2_share_of_applicants", 1.2, {}),
    Column("online_payment_share", "payment.online_share", 1.0, {}),
    Column("electronic_result_share", "result.electronic_share", 1.2, {}),
)


def read(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def offsets(column: str, codes: Sequence[str]) -> dict[str, float]:
    """Evenly spaced from -1 to 1, in the order of a hash, so that no draw is extreme by chance."""
    ranked = sorted(codes, key=lambda code: blake2b(f"{column}|{code}".encode(), digest_size=8).digest())
    return {code: 2 * rank / (len(ranked) - 1) - 1 for rank, code in enumerate(ranked)}


def spread(column: Column, weights: Mapping[str, float], row: Mapping[str, str]) -> dict[str, float]:
    """Values by province code whose weighted mean is the parameter's value."""
    low, high, target = float(row["low"]), float(row["high"]), float(row["value"])
    place = offsets(column.name, [code for code in weights if code not in column.published])

    def values(middle: float) -> dict[str, float]:
        drawn = {code: low + (high - low) / (1 + exp(-middle - column.spread * x)) for code, x in place.items()}
        return drawn | {code: value for code, (value, _, _) in column.published.items()}

    def mean(shares: Mapping[str, float]) -> float:
        return sum(weights[code] * value for code, value in shares.items()) / sum(weights.values())

    start = log((target - low) / (high - target))
    below, above = start - 10, start + 10
    for _ in range(STEPS):
        middle = (below + above) / 2
        below, above = (middle, above) if mean(values(middle)) < target else (below, middle)
    return values(below)


def profile_lines(
    provinces: Sequence[Mapping[str, str]], parameters: Mapping[str, Mapping[str, str]]
) -> list[list[str]]:
    weights = {row["code"]: float(row["population"]) for row in provinces}
    table: dict[str, dict[str, float]] = {}
    for column in COLUMNS:
        table[column.name] = spread(column, weights, parameters[column.parameter])
        if column.name == "volume_factor":
            weights = {code: weight * table[column.name][code] for code, weight in weights.items()}
    return [_line(row["code"], table) for row in provinces]


def _line(code: str, table: Mapping[str, Mapping[str, float]]) -> list[str]:
    cells, notes = [code], []
    for column in COLUMNS:
        _, evidence, source = column.published.get(code, (0.0, "C", ""))
        notes += [f"{column.name}: {source}"] if source else []
        cells += [f"{table[column.name][code]:.4f}".rstrip("0").rstrip("."), evidence]
    return [*cells, "; ".join([*notes, SPREAD_BASIS])]


def files() -> Mapping[str, str]:
    """Return the table by its path in the project."""
    parameters = {row["name"]: row for row in read("parameters.csv")}
    header = ["code", *(name for column in COLUMNS for name in (column.name, f"{column.name}_evidence")), "basis"]
    lines = profile_lines(read("provinces.csv"), parameters)
    table = io.StringIO(newline="")
    csv.writer(table, lineterminator="\n").writerows([header, *lines])
    return {"domain/data/province_profiles.csv": table.getvalue()}
