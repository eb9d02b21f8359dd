"""What-if over a national day: seconds of CPU in a fresh process, so that others on the machine do not count."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeVar

from benchmarks.rounds import in_fresh_process
from benchmarks.workload import PLAN
from contracts.draws import draws
from paperless.fidelity.accepted_draws import read_accepted_draws
from paperless.whatif.combinations import all_combinations
from paperless.whatif.levers import Levers, Setting
from paperless.whatif.model import Model, load_model
from paperless.whatif.uncertainty import Worlds
from paperless.whatif.worlds import world_of
from runtime.garbage_collector import tune_garbage_collector

T = TypeVar("T")
LEVERS = 16
SETTINGS = 40


def measure(applications: int | None, rounds: int) -> Mapping[str, list[float]]:
    """Return by key the CPU time of each round, of a day with so many applications; None is the national day's own."""
    return in_fresh_process(_measure, applications, rounds)


def _measure(applications: int | None, rounds: int) -> Mapping[str, list[float]]:
    tune_garbage_collector()
    with TemporaryDirectory() as folder:
        cache = Path(folder)

        def load() -> Model:
            return load_model(plan=PLAN, applications=applications, cache=cache)

        built, model = _timed(load)
        loaded = [_timed(load)[0] for _ in range(rounds)]
    some = dict(list(model.levers.items())[:LEVERS])
    matrix, day = model.evaluator.matrix, model.day
    return {
        "whatif_build_s": [built],
        "whatif_load_s": loaded,
        "whatif_ms": [1_000 * _setting_s(model, turn) for turn in range(rounds)],
        "whatif_all_combinations_s": [_timed(lambda: all_combinations(matrix, day, some))[0] for _ in range(rounds)],
        "whatif_draws_s": [_timed(lambda: _draws(model))[0] for _ in range(rounds)],
    }


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.process_time()
    done = work()
    return time.process_time() - started, done


def _setting_s(model: Model, turn: int) -> float:
    """Return the median of settings in which every lever stands elsewhere than in the one before."""
    settings = [_random(model.levers, f"{turn} {number}") for number in range(SETTINGS)]
    return median(_timed(partial(_ask, model, each))[0] for each in settings)


def _ask(model: Model, setting: Setting) -> None:
    model.evaluator.counts(world_of(model.day, setting, model.levers))


def _random(levers: Levers, name: str) -> dict[str, float]:
    drawn = [*draws(1, "whatif", name), *draws(1, "whatif", name, "more")]
    return {lever.name: float(u < 0.5) if lever.whole else u for lever, u in zip(levers.values(), drawn, strict=False)}


def _draws(model: Model) -> None:
    worlds = Worlds(model.scenario, model.day, model.evaluator, model.levers, "province", None)
    accepted = read_accepted_draws()
    for values in dict.fromkeys(draw.values for draw in accepted.draws):
        worlds.rates(dict(zip(accepted.parameters, values, strict=True)), [{}])
