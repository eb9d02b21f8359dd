"""Every benchmark with its keys: what it measures, about how long it takes, and how its rounds become figures."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import growth, hop, intake, latency, oracle, stacks, whatif
from benchmarks.errors import VariantError
from benchmarks.results import Figure
from benchmarks.rounds import in_fresh_process, ratios
from benchmarks.workload import PLAN
from paperless.traffic.load.result import Measured

Tell = Callable[[str], None]
Figures = Mapping[str, Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How thoroughly: rounds where a round is short; `quick` takes a tenth of the records, to see that it runs."""

    rounds: int
    quick: bool
    tell: Tell = print

    def size(self, records: int) -> int:
        """Return how many records to take."""
        return records // 10 if self.quick else records

    def few(self, rounds: int) -> int:
        """Return how many rounds of those that take minutes."""
        return 1 if self.quick else min(self.rounds, rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What gives one or more keys.

    Attributes:
        keys: each with what it measures.
        minutes: about how long all of them take with five rounds on two cores.
        measure: the figures of the keys that are asked for; one that cannot be measured is told about and left out.
        on_demand: needs an engine for containers, or a million applications: only when named.

    """

    keys: Mapping[str, str]
    minutes: float
    measure: Callable[[Options, Sequence[str]], Figures]
    on_demand: bool = False


HOPS = {
    "hop_vs_aiokafka": "by_hand_aiokafka",
    "hop_vs_confluent": "by_hand_confluent",
    "hop_vs_naive_faststream": "faststream_naive",
    "hop_vs_faststream_batch": "faststream_batch",
    "hop_vs_quix": "quix",
    "hop_vs_faust": "faust",
    "hop_vs_kafka_streams": "kafka_streams",
    "hop_vs_franz_go": "franz_go",
}


def _hops(options: Options, keys: Sequence[str]) -> Figures:
    wanted = {}
    for key in keys:
        try:
            hop.VARIANTS[HOPS[key]].check_installed()
            wanted[key] = HOPS[key]
        except VariantError as error:
            options.tell(f"{key} is left out: {error}")
    if not wanted:
        return {}
    measuring = hop.measure(
        [hop.KERNEL, *wanted.values()],
        records=options.size(hop.RECORDS),
        rounds=options.few(options.rounds),
        tell=options.tell,
    )
    costs = asyncio.run(measuring)
    return {key: _ratio(costs, hop.KERNEL, peer, None) for key, peer in wanted.items()}


def _ratio(costs: Mapping[str, Sequence[Any]], ours: str, theirs: str, plan: str | None) -> Figure:
    """Return the ratio of rates round by round, with the ratio of CPU (theirs / ours, so more is better too)."""
    rates = {name: [cost.per_s for cost in costs[name]] for name in (ours, theirs)}
    cpu = {name: [cost.cpu_us for cost in costs[name]] for name in (ours, theirs)}
    beside = {
        "cpu_ratio": round(median(ratios(cpu[theirs], cpu[ours])), 3),
        "per_s": {name: round(median(values)) for name, values in rates.items()},
        "cpu_us": {name: round(median(values), 2) for name, values in cpu.items()},
    }
    return Figure(ratios(rates[ours], rates[theirs]), plan, beside)


def _intake(options: Options, keys: Sequence[str]) -> Figures:
    applications, rounds = options.size(intake.APPLICATIONS), options.few(options.rounds)
    costs = asyncio.run(intake.measure(applications=applications, rounds=rounds, tell=options.tell))
    return {key: _ratio(costs, intake.KERNEL, intake.NAIVE, PLAN) for key in keys}


def _oracle(options: Options, keys: Sequence[str]) -> Figures:
    rates = oracle.measure(options.size(oracle.APPLICATIONS), options.few(options.rounds))
    return {key: Figure(rates, PLAN, {}) for key in keys}


def _whatif(options: Options, keys: Sequence[str]) -> Figures:
    times = whatif.measure(12_000 if options.quick else None, options.few(options.rounds))
    return {key: Figure(times[key], PLAN, {"levers": whatif.LEVERS}) for key in keys}


DAY = 120_000
APPLICATIONS = 1_000_000
MANY_APPLICATIONS = 5_000_000


def _flow(options: Options, keys: Sequence[str]) -> Figures:
    runs = _runs(stacks.embedded, options, APPLICATIONS, options.few(3))
    return {key: _rate(runs) for key in keys}


def _verify(options: Options, keys: Sequence[str]) -> Figures:
    runs = _runs(stacks.embedded, options, DAY, options.few(3))
    return {key: Figure([run["verify_s"] for run in runs], PLAN, {"applications": DAY}) for key in keys}


def _flow_composed(options: Options, keys: Sequence[str]) -> Figures:
    stacks.build_image()
    runs = _runs(stacks.composed, options, APPLICATIONS, options.few(3))
    return {key: _rate(runs) for key in keys}


def _runs(
    play: Callable[[list[str], Path], stacks.Result], options: Options, applications: int, rounds: int
) -> list[stacks.Result]:
    arguments = ["--applications", str(options.size(applications)), "--pace", "max", "--plan", PLAN]
    runs = []
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(play([*arguments, "--within", "600"], Path(folder)))
        options.tell(f"round {turn + 1}: {runs[-1]['applications_per_s']:,.0f} applications/s")
    return runs


def _rate(runs: Sequence[stacks.Result]) -> Figure:
    cpu = {
        name: round(median(run["processes"][name]["cpu_us_per_application"] for run in runs), 1)
        for name in runs[0]["processes"]
    }
    beside = {
        "applications": runs[0]["applications"],
        "cpu_us_per_application": cpu,
        "verify_s": median(run["verify_s"] for run in runs),
    }
    return Figure([run["applications_per_s"] for run in runs], PLAN, beside)


# Containers that others made: the figure is about ours.
THEIRS = ("kafka", "postgres")


def _memory(options: Options, keys: Sequence[str]) -> Figures:
    stacks.build_image()
    (run,) = _runs(stacks.composed, options, MANY_APPLICATIONS, 1)
    peaks = {
        name: process["peak_memory_mb"]
        for name, process in run["processes"].items()
        if process["peak_memory_mb"] is not None and not name.startswith(THEIRS)
    }
    beside = {
        **_rate([run]).beside,
        "applications_per_s": run["applications_per_s"],
        "peak_mb": peaks,
        "growth_in_the_second_half_mb": run["late_memory_growth_mb"],
        # The verification keeps every application; it is no part of the flow.
        "verifying_peak_mb": run["verifying_peak_mb"],
    }
    return {key: Figure([max(peaks.values())], PLAN, beside) for key in keys}


def _latency(options: Options, keys: Sequence[str]) -> Figures:
    arguments = latency.load_arguments(1_000, 10 if options.quick else 30)
    rounds = latency.measure(arguments, options.few(3), options.tell)
    percentiles = {"p99_ms_at_1000": "99", "p999_ms_at_1000": "99.9"}
    beside = {
        "load": "paperless " + " ".join(arguments),
        "p50_ms": median(measured.to_stored.percentiles["50"] for measured in rounds),
        "max_ms": max(measured.to_stored.max for measured in rounds),
        "slip_p99_ms": median(measured.slip.percentiles["99"] for measured in rounds),
    }
    return {key: _percentile(rounds, percentiles[key], beside) for key in keys}


def _percentile(rounds: Sequence[Measured], name: str, beside: Mapping[str, Any]) -> Figure:
    return Figure([measured.to_stored.percentiles[name] for measured in rounds], latency.PLAN, beside)


def _idle(options: Options, keys: Sequence[str]) -> Figures:
    # So far apart that each finds an idle system.
    arguments = latency.load_arguments(4, 10 if options.quick else 25, "--arrivals", "constant")
    rounds = latency.measure(arguments, options.few(3), options.tell)
    beside = {
        "load": "paperless " + " ".join(arguments),
        "p99_ms": median(measured.to_stored.percentiles["99"] for measured in rounds),
    }
    return {key: _percentile(rounds, "50", beside) for key in keys}


def _idle_cpu(options: Options, keys: Sequence[str]) -> Figures:
    used = latency.idle_cpu_percent(3 if options.quick else 10)
    return {key: Figure([round(sum(used.values()), 1)], latency.PLAN, {"by_process": used}) for key in keys}


def _start(options: Options, keys: Sequence[str]) -> Figures:
    took = [round(latency.start_s(), 2) for _ in range(options.few(options.rounds))]
    return {key: Figure(took, latency.PLAN, {}) for key in keys}


def _sustained(options: Options, keys: Sequence[str]) -> Figures:
    rates = [latency.sustained_per_s() for _ in range(options.few(3))]
    return {key: Figure(rates, latency.PLAN, {"load": "paperless load --max"}) for key in keys}


def _growth(options: Options, keys: Sequence[str]) -> Figures:
    sizes = (10_000, 200_000) if options.quick else growth.PRELOAD
    result = in_fresh_process(growth.measure_sqlite, sizes, options.few(options.rounds))
    return {key: Figure(result["rounds"], PLAN, {"growth": result}) for key in keys}


SUITE = (
    Benchmark(
        keys={
            "hop_vs_aiokafka": "records/s of the kernel's bare hop / a hand-written aiokafka loop, same guarantee",
            "hop_vs_confluent": "the same / a hand-written confluent-kafka loop, same guarantee",
            "hop_vs_naive_faststream": "the same / FastStream, a handler per message, its defaults",
            "hop_vs_faststream_batch": "the same / FastStream, batches and publish_batch, at least once",
            "hop_vs_quix": "the same / Quix Streams, its defaults (at least once)",
            "hop_vs_faust": "the same / Faust-streaming, an agent, its defaults (at least once)",
            "hop_vs_kafka_streams": "the same / Kafka Streams, one thread, at least once, JVM warmed up",
            "hop_vs_franz_go": "the same / a hand-written Go loop, same guarantee: the physical limit here",
        },
        minutes=5.5,
        measure=_hops,
    ),
    Benchmark(
        keys={"intake_vs_naive_faststream": "applications/s of intake / a FastStream per-message service, same core"},
        minutes=3,
        measure=_intake,
    ),
    Benchmark(keys={"oracle_per_s": "oracle in process, applications per second of CPU"}, minutes=0.5, measure=_oracle),
    Benchmark(
        keys={
            "whatif_ms": "what-if: a setting of all levers over a national day, CPU, ms",
            "whatif_all_combinations_s": "what-if: every combination of 16 levers for every province, CPU, s",
            "whatif_draws_s": "what-if: 200 accepted draws of the assumed values, CPU, s",
            "whatif_build_s": "what-if: the draws of a national day made, CPU, s",
            "whatif_load_s": "what-if: the same read from the cache, CPU, s",
        },
        minutes=0.5,
        measure=_whatif,
    ),
    Benchmark(
        keys={"flow_per_s": "whole flow, 1 M applications, embedded, drained and verified, applications/s"},
        minutes=12,
        measure=_flow,
        on_demand=True,
    ),
    Benchmark(
        keys={
            "p99_ms_at_1000": "intended send to stored, open loop at 1,000/s: 99th percentile, ms",
            "p999_ms_at_1000": "the same: 99.9th percentile, ms",
        },
        minutes=2,
        measure=_latency,
    ),
    Benchmark(
        keys={"idle_ms_p50": "one application on an idle system, intended send to stored: median, ms"},
        minutes=2,
        measure=_idle,
    ),
    Benchmark(
        keys={"idle_cpu_percent": "all processes of an embedded system that has nothing to do, per cent of a core"},
        minutes=0.5,
        measure=_idle_cpu,
    ),
    Benchmark(
        keys={"start_s": "embedded system, from the command until all of it is ready, installed, s"},
        minutes=1,
        measure=_start,
    ),
    Benchmark(
        keys={"verify_s": "verification of an embedded day of 120,000 applications, s"},
        minutes=2,
        measure=_verify,
        on_demand=True,
    ),
    Benchmark(
        keys={"load_max_per_s": "highest rate that `paperless load --max` finds sustained, embedded, applications/s"},
        minutes=8,
        measure=_sustained,
        on_demand=True,
    ),
    Benchmark(
        keys={"growth_5m": "CPU per application of the store's writes, 5 M stored / 0.1 M stored"},
        minutes=5,
        measure=_growth,
    ),
    Benchmark(
        keys={"flow_kafka_postgres_per_s": "whole flow, 1 M applications, Kafka and PostgreSQL in containers"},
        minutes=15,
        measure=_flow_composed,
        on_demand=True,
    ),
    Benchmark(
        keys={"rss_mb_max": "largest of our containers while 5 M applications flow on Kafka, MB"},
        minutes=25,
        measure=_memory,
        on_demand=True,
    ),
)


def chosen(keys: Sequence[str], *, everything: bool = False) -> list[tuple[Benchmark, tuple[str, ...]]]:
    """Return the benchmarks that give these keys, each with its keys; without keys, those that are not on demand.

    Raises:
        ValueError: no benchmark has such a key.

    """
    known = [key for benchmark in SUITE for key in benchmark.keys]
    for key in keys:
        if key not in known:
            raise ValueError(f"{key!r} is no key; use one of {', '.join(known)}")
    benchmarks = []
    for benchmark in SUITE:
        by_default = everything or not benchmark.on_demand
        wanted = tuple(key for key in benchmark.keys if key in keys or (not keys and by_default))
        if wanted:
            benchmarks.append((benchmark, wanted))
    return benchmarks
