"""What an application costs the store that holds millions already: CPU µs, against the store that holds few.

    python -m benchmarks.growth --preload 100000 5000000 --rounds 5 --json build/bench/growth.json
    python -m benchmarks.growth --preload 100000 1000000 --postgres postgresql://postgres@127.0.0.1/postgres

Each store is filled through its own write path; then all take the next outcomes in turn, batch by batch, so a drift of
the machine's speed hits them all. The first round is left out. Outcomes are those of a simulated national day, again
day after day under new ids and times. On PostgreSQL databases of their own are created, and dropped at the end.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from benchmarks.played import DECIDED, PARTITIONS, play
from benchmarks.rounds import Spread, ratios
from contracts.records import partition_of
from domain import VN, load_domain
from paperless.traffic.manifest import versions
from services.scoring.rollup.outcome import ApplicationOutcome, decode
from services.scoring.rollup.snapshot import CellKey
from services.scoring.settings import ScoringSettings
from services.scoring.store.store import Positioned, Store

PER_DAY = 121_000
DAY_S = 86_400
# The first day that is played.
_FIRST_DAY_S = int(datetime(2025, 10, 8, tzinfo=VN).timestamp())
# Odd, so that no two of 2**64 numbers share a product.
_MIX, _WORD = 0x9E3779B97F4A7C15, (1 << 64) - 1


class Round(NamedTuple):
    """CPU of this process and wall time, µs per application."""

    cpu_us: float
    wall_us: float


class Outcomes:
    """An endless log of outcomes: ids are UUIDv7 in the order of time, content is drawn from a pool of real ones."""

    def __init__(self, pool: Sequence[ApplicationOutcome]) -> None:
        self._pool = pool
        self._number = 0
        self._offsets = [0] * PARTITIONS

    def batch(self, size: int) -> list[Positioned]:
        """Return the next outcomes with their positions."""
        batch = []
        for number in range(self._number, self._number + size):
            decided = self._outcome(number)
            at = partition_of(decided.application_id.encode(), PARTITIONS)
            batch.append(Positioned(at, self._offsets[at], decided))
            self._offsets[at] += 1
        self._number += size
        return batch

    def _outcome(self, number: int) -> ApplicationOutcome:
        like = self._pool[number % len(self._pool)]
        day, position = divmod(number, PER_DAY)
        submitted_at = _FIRST_DAY_S + day * DAY_S + position * DAY_S // PER_DAY
        later = submitted_at - like.submitted_at
        decided_at = like.decided_at + later
        drawn = number * _MIX & _WORD
        return ApplicationOutcome(
            _uuid7(submitted_at * 1000, number & 0xFFF, drawn >> 2),
            like.revision,
            f"{drawn:016x}",
            drawn ^ _WORD,
            _in_month(like.cell, _month_of((decided_at + 7 * 3600) // DAY_S)),
            like.measures,
            submitted_at,
            like.due_at + later,
            decided_at,
            like.commune,
            like.rules_version,
        )


def _uuid7(ms: int, counter: int, drawn: int) -> str:
    # As `paperless.population.population` writes ids.
    fields = (ms >> 16, ms & 0xFFFF, counter, 0x8000 | drawn >> 48, drawn & 0xFFFFFFFFFFFF)
    return "%08x-%04x-7%03x-%04x-%012x" % fields  # noqa: UP031  two thirds of the time of an f-string


@cache
def _in_month(cell: CellKey, month: str) -> CellKey:
    return cell._replace(month=month)


@cache
def _month_of(day: int) -> str:
    return f"{datetime.fromtimestamp(0, UTC) + timedelta(days=day):%Y-%m}"


def pool_of(applications: int) -> list[ApplicationOutcome]:
    """Return the outcomes of one day; each application once."""
    domain = load_domain()
    records = play(applications).records(DECIDED)
    found = {one.application_id: one for one in (decode(record, PARTITIONS, domain) for record in records)}
    return list(found.values())


class Filled:
    """A store and the log that it goes on reading."""

    def __init__(self, url: str, pool: Sequence[ApplicationOutcome]) -> None:
        self.store, self._outcomes = Store(url), Outcomes(pool)
        self.store.bind_log("benchmarks")

    def take(self, applications: int) -> Round:
        """Apply the next outcomes, in the largest batches that the service takes, and return what one cost."""
        size = ScoringSettings().max_records
        cpu = wall = 0.0
        for left in range(applications, 0, -size):
            batch = self._outcomes.batch(min(size, left))
            began, used = time.perf_counter(), time.process_time()
            self.store.apply(batch)
            cpu += time.process_time() - used
            wall += time.perf_counter() - began
        return Round(cpu / applications * 1e6, wall / applications * 1e6)


@contextlib.contextmanager
def sqlite_stores(sizes: Sequence[int]) -> Iterator[Mapping[int, str]]:
    """Give addresses of stores in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        yield {size: f"sqlite:///{Path(folder) / f'{size}.db'}" for size in sizes}


@contextlib.contextmanager
def postgres_stores(server: str, sizes: Sequence[int]) -> Iterator[Mapping[int, str]]:
    """Give addresses of databases created on a server."""
    names = {size: f"paperless_growth_{size}" for size in sizes}
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names.values():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield {size: urlsplit(server)._replace(path=f"/{name}").geturl() for size, name in names.items()}
        finally:
            for name in names.values():
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def measure(
    urls: Mapping[int, str], *, rounds: int, outcomes: int, pool: Sequence[ApplicationOutcome]
) -> dict[str, Any]:
    """Fill the stores, then measure them in turn; the first store is what the others are compared with."""
    with contextlib.ExitStack() as opened:
        filled: dict[int, Filled] = {}
        preload_s: dict[str, float] = {}
        for size, url in urls.items():
            filled[size] = Filled(url, pool)
            opened.enter_context(filled[size].store)
            began = time.perf_counter()
            filled[size].take(size)
            preload_s[name_of(size)] = round(time.perf_counter() - began, 1)
            print(f"{name_of(size)} stored in {preload_s[name_of(size)]} s", file=sys.stderr)
        found: dict[int, list[Round]] = {size: [] for size in filled}
        for turn in range(rounds + 1):
            for size, one in in_turn(filled, outcomes).items():
                if turn:
                    found[size].append(one)
        return {**summary(found), "preload_s": preload_s}


def in_turn(filled: Mapping[int, Filled], outcomes: int) -> dict[int, Round]:
    """Let every store take the next outcomes, batch by batch in turn: what disturbs the machine hits them all."""
    batch = ScoringSettings().max_records
    found: dict[int, list[Round]] = {size: [] for size in filled}
    for left in range(outcomes, 0, -batch):
        for size, one in filled.items():
            found[size].append(one.take(min(batch, left)))
    return {size: Round(*map(fmean, zip(*rounds, strict=True))) for size, rounds in found.items()}


def name_of(size: int) -> str:
    """Return a number of applications as it is said: 100k, 5m."""
    return f"{size / 1e6:g}m" if size >= 1_000_000 else f"{size / 1e3:g}k"


def summary(found: Mapping[int, Sequence[Round]]) -> dict[str, Any]:
    """Return `growth_<size>`, the ratio of CPU against the first store, and what was measured.

    `rounds` are the ratios of the last store, round by round.
    """
    base, *others = found
    result: dict[str, Any] = {}
    for size in others:
        used = ratios([one.cpu_us for one in found[size]], [one.cpu_us for one in found[base]])
        passed = ratios([one.wall_us for one in found[size]], [one.wall_us for one in found[base]])
        cpu, wall = Spread.of(used), Spread.of(passed)
        result[f"growth_{name_of(size)}"] = round(cpu.median, 3)
        result[f"growth_{name_of(size)}_spread"] = [round(cpu.low, 3), round(cpu.high, 3)]
        result[f"growth_{name_of(size)}_wall"] = round(wall.median, 3)
        result["rounds"] = [round(ratio, 3) for ratio in used]
    for size, rounds in found.items():
        result[f"stored_{name_of(size)}"] = {
            "cpu_us": round(Spread.of(one.cpu_us for one in rounds).median, 2),
            "wall_us": round(Spread.of(one.wall_us for one in rounds).median, 2),
        }
    return result


def show(result: Mapping[str, Any], sizes: Sequence[int]) -> None:
    """Print the table."""
    table = Table("stored", "CPU µs/application", "wall µs/application", "CPU ratio", "spread", "filled in s")
    for column in table.columns[1:]:
        column.justify = "right"
    for size in sizes:
        name = name_of(size)
        one = result[f"stored_{name}"]
        low, high = result.get(f"growth_{name}_spread", (1, 1))
        ratio = result.get(f"growth_{name}", 1)
        table.add_row(
            name, f"{one['cpu_us']}", f"{one['wall_us']}", f"{ratio:.3f}", f"{low} … {high}",
            f"{result['preload_s'][name]}",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--preload", type=int, nargs="+", default=[100_000, 5_000_000], help="stored applications; first the base"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--outcomes", type=int, default=24_000, help="outcomes of one round")
    parser.add_argument("--pool", type=int, default=20_000, help="real outcomes that the stored ones are drawn from")
    parser.add_argument("--postgres", metavar="URL", help="a server whose user may create databases")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    opening = postgres_stores(given.postgres, given.preload) if given.postgres else sqlite_stores(given.preload)
    pool = pool_of(given.pool)
    with opening as urls:
        result = measure(urls, rounds=given.rounds, outcomes=given.outcomes, pool=pool)
    show(result, given.preload)
    if given.json:
        engine = "postgresql" if given.postgres else "sqlite"
        head = {"store": engine, "outcomes_per_round": given.outcomes, "versions": versions()}
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({**result, **head}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
