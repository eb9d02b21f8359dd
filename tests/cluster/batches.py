"""Many histories, in several processes, and the shortest one that still fails."""

import gc
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from itertools import islice, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from tests.cluster.history import History, Wish, play
from tests.cluster.mutants import mutated

# A mutant that so many histories do not notice counts as unnoticed.
PATIENCE = 60
# A process plays so many histories and ends; nothing is collected in it, which would cost a sixth of its time.
HISTORIES_PER_PROCESS = 20
# Memory, where a store's disk costs nothing.
SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _processes(jobs: int) -> ProcessPoolExecutor:
    """Return processes that are forked from one that has everything and has played already."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.cluster.warm"])
    return ProcessPoolExecutor(
        jobs, mp_context=context, initializer=gc.disable, max_tasks_per_child=HISTORIES_PER_PROCESS
    )


def side_by_side(wishes: Iterable[Wish], jobs: int, until: float | None = None) -> Iterator[History]:
    """Play histories in as many processes, in any order, none that begins after `until` (monotonic seconds)."""
    waiting, left = set[Future[History]](), iter(wishes)
    with _processes(jobs) as pool:
        while True:
            open_ended = until is None or time.monotonic() < until
            waiting |= {pool.submit(_told, wish) for wish in islice(left, 2 * jobs - len(waiting) if open_ended else 0)}
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def _told(wish: Wish) -> History:
    """Return a history without its records, which nobody asks another process for."""
    return replace(played(wish), records={})


class Hunted(NamedTuple):
    """A mutant: after how many histories it was noticed (None: it was not), in how many seconds, and by what."""

    name: str
    histories: int | None
    seconds: float
    violation: str


def hunted(names: Iterable[str], histories: int, jobs: int) -> Iterator[Hunted]:
    """Play histories of each mutant until one notices it, at most so many, in as many processes."""
    with _processes(jobs) as pool:
        yield from pool.map(_hunt, names, repeat(histories))


def _hunt(name: str, histories: int) -> Hunted:
    began = time.monotonic()
    with mutated(name) as kinds:
        for number in range(histories):
            history = played(Wish(seed=number, kinds=kinds))
            gc.collect()
            if history.violations:
                return Hunted(name, number + 1, time.monotonic() - began, history.violations[0])
    return Hunted(name, None, time.monotonic() - began, "")


def shortened(history: History) -> History:
    """Return the shortest history that still fails: a mishap that is not needed is left out, so are applications."""
    for mishap in history.mishaps:
        shorter = played(replace(history.wish, without=history.wish.without | {mishap.number}))
        history = shorter if shorter.violations else history
    while history.wish.applications > 1:
        shorter = played(replace(history.wish, applications=history.wish.applications // 2))
        if not shorter.violations:
            break
        history = shorter
    return history


def played(wish: Wish) -> History:
    """Play a history in a scratch folder."""
    began = time.process_time()
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        history = play(wish, Path(folder))
    history.processor_s = time.process_time() - began
    return history


def played_apart(wishes: Iterable[Wish]) -> list[History]:
    """Play histories, with their records, in a process whose hashes are fixed, as those of the command are."""
    with patch.dict(os.environ, PYTHONHASHSEED="0"), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return list(pool.map(played, wishes))
