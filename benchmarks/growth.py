"""What an application costs the store that holds millions already: CPU µs, against the store that holds few.

Each store is filled through its own write path; then all take the next outcomes in turn, batch by batch, so a drift of
the machine's speed hits them all. The first round is left out. Outcomes are those of a simulated national day, again
day after day under new ids and times. On PostgreSQL databases of their own are created, and dropped at the end.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
import typer
from psycopg import sql
from rich.table import Table

from benchmarks.flow import run_flow
from benchmarks.rounds import Spread, ratios
from benchmarks.workload import PARTITIONS, PLAN, day_of
from contracts.records import partition_of
from contracts.topics import APPLICATIONS_DECIDED
from domain import VN, load_domain
from paperless.cli.output import make_console, write_json
from paperless.traffic.manifest import versions
from services.scoring.rollup.cells import CellKey
from services.scoring.rollup.outcome import ApplicationOutcome, decode
from services.scoring.settings import ScoringSettings
from services.scoring.store.store import Positioned, Store

PRELOAD = (100_000, 5_000_000)
# Of one round, and of the pool of real ones that stored ones are drawn from.
OUTCOMES, POOL = 24_000, 20_000
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
            batch.append((at, self._offsets[at], decided))
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
    with tempfile.TemporaryDirectory() as folder, Store(f"sqlite:///{folder}/scoring.db") as store:
        log = run_flow(day_of(applications), store, PLAN).log
    outcomes = (decode(record, PARTITIONS, domain) for record in log.of_topic(APPLICATIONS_DECIDED.name))
    return list({outcome.application_id: outcome for outcome in outcomes}.values())


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
        in_turn(filled, outcomes)
        measured = [in_turn(filled, outcomes) for _ in range(rounds)]
        return {**summary({size: [costs[size] for costs in measured] for size in filled}), "preload_s": preload_s}


def measure_sqlite(sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """Measure stores in a temporary folder, of these sizes."""
    with sqlite_stores(sizes) as urls:
        return measure(urls, rounds=rounds, outcomes=OUTCOMES, pool=pool_of(POOL))


def in_turn(filled: Mapping[int, Filled], outcomes: int) -> dict[int, Round]:
    """Let every store take the next outcomes, batch by batch in turn: what disturbs the machine hits them all."""
    batch = ScoringSettings().max_records
    costs: dict[int, list[Round]] = {size: [] for size in filled}
    for left in range(outcomes, 0, -batch):
        for size, store in filled.items():
            costs[size].append(store.take(min(batch, left)))
    return {size: Round(*map(fmean, zip(*batches, strict=True))) for size, batches in costs.items()}


def name_of(size: int) -> str:
    """Return a number of applications as it is said: 100k, 5m."""
    return f"{size / 1e6:g}m" if size >= 1_000_000 else f"{size / 1e3:g}k"


def summary(costs: Mapping[int, Sequence[Round]]) -> dict[str, Any]:
    """Return `growth_<size>`, the ratio of CPU against the first store, and what was measured.

    `rounds` are the ratios of the last store, round by round.
    """
    base, *others = costs
    result: dict[str, Any] = {}
    for size in others:
        used = ratios([cost.cpu_us for cost in costs[size]], [cost.cpu_us for cost in costs[base]])
        passed = ratios([cost.wall_us for cost in costs[size]], [cost.wall_us for cost in costs[base]])
        cpu, wall = Spread.of(used), Spread.of(passed)
        result[f"growth_{name_of(size)}"] = round(cpu.median, 3)
        result[f"growth_{name_of(size)}_spread"] = [round(cpu.low, 3), round(cpu.high, 3)]
        result[f"growth_{name_of(size)}_wall"] = round(wall.median, 3)
        result["rounds"] = [round(ratio, 3) for ratio in used]
    for size, rounds in costs.items():
        result[f"stored_{name_of(size)}"] = {
            "cpu_us": round(Spread.of(cost.cpu_us for cost in rounds).median, 2),
            "wall_us": round(Spread.of(cost.wall_us for cost in rounds).median, 2),
        }
    return result


def table_of(result: Mapping[str, Any], sizes: Sequence[int]) -> Table:
    """Return the costs by size of the store."""
    table = Table("stored")
    for name in ("CPU µs/application", "wall µs/application", "CPU ratio", "spread", "filled in s"):
        table.add_column(name, justify="right")
    for size in sizes:
        name = name_of(size)
        cost = result[f"stored_{name}"]
        low, high = result.get(f"growth_{name}_spread", (1, 1))
        ratio = result.get(f"growth_{name}", 1)
        table.add_row(
            name, f"{cost['cpu_us']}", f"{cost['wall_us']}", f"{ratio:.3f}", f"{low} … {high}",
            f"{result['preload_s'][name]}",
        )  # fmt: skip
    return table


def command(
    *,
    preload: Annotated[list[int] | None, typer.Option(help="Stored applications; the first is the base.")] = None,
    rounds: Annotated[int, typer.Option(help="After the one that warms up.", min=1)] = 5,
    outcomes: Annotated[int, typer.Option(help="Outcomes of one round.", min=1)] = OUTCOMES,
    postgres: Annotated[str | None, typer.Option(metavar="URL", help="A server to create databases on.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the costs to this file.")] = None,
) -> None:
    """Measure what an application costs stores that hold 100,000 and 5 million; SQLite, or PostgreSQL on a server.

    Example: `python -m benchmarks growth --preload 100000 --preload 1000000 --postgres postgresql://127.0.0.1/postgres`
    """
    sizes = preload or PRELOAD
    with postgres_stores(postgres, sizes) if postgres else sqlite_stores(sizes) as urls:
        result = measure(urls, rounds=rounds, outcomes=outcomes, pool=pool_of(POOL))
    make_console().print(table_of(result, sizes))
    engine = "postgresql" if postgres else "sqlite"
    write_json(json, {**result, "store": engine, "outcomes_per_round": outcomes, "versions": versions()})
