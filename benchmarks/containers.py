"""CPU and memory of a compose project's containers over time, by the engine's own counters."""

import threading
import time
from bisect import bisect
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import docker
from docker.errors import APIError
from docker.models.containers import Container

SAMPLE_S = 0.1
LOOK_S = 1.0
MIB = 1024 * 1024


class Sample(NamedTuple):
    """What one container had used at a wall time."""

    at: float
    cpu_s: float
    memory_bytes: int


class Memory(NamedTuple):
    """Peak in MB up to the end of a time, how much of it only the second half brought (flat is about 0), peak after."""

    peak_mb: float
    late_growth_mb: float
    later_peak_mb: float

    @staticmethod
    def of(rows: Sequence[Sample], begin: float, end: float) -> "Memory":
        """Return what samples say of the time between two wall times."""
        middle = (begin + end) / 2
        early = max((row.memory_bytes for row in rows if row.at <= middle), default=0)
        late = max((row.memory_bytes for row in rows if middle < row.at <= end), default=early)
        after = max((row.memory_bytes for row in rows if row.at > end), default=0)
        return Memory(*(round(size / MIB, 1) for size in (max(early, late), max(late - early, 0), after)))


class Sampler:
    """Reads CPU and memory of a project's containers about once a second, each in a thread of its own.

    Containers that start later are found too; one that ends keeps what was read of it.
    """

    def __init__(self, project: str) -> None:
        self.samples: dict[str, list[Sample]] = defaultdict(list)
        self._project = project
        self._done = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        self._finder = threading.Thread(target=self._find, daemon=True)
        self._finder.start()

    def _find(self) -> None:
        engine = docker.from_env()
        label = f"com.docker.compose.project={self._project}"
        while True:
            for container in engine.containers.list(filters={"label": label}, ignore_removed=True):
                if container.id not in self._threads:
                    thread = threading.Thread(target=self._watch, args=(container,), daemon=True)
                    self._threads[str(container.id)] = thread
                    thread.start()
            if self._done.wait(LOOK_S):
                return

    def _watch(self, container: Container) -> None:
        name = str(container.name).removeprefix(f"{self._project}-")
        engine = docker.from_env()
        while not self._done.wait(SAMPLE_S):
            try:
                # The engine reads its counters once a second, and answers then.
                stats = engine.api.stats(str(container.id), stream=False, one_shot=True)
                used = stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
            except (APIError, KeyError, ValueError):
                # Gone, or going: the answer then is an error, has no figures, or is empty.
                return
            self.samples[name].append(Sample(time.time(), used, _working_set(stats["memory_stats"])))

    def stop(self) -> None:
        """Stop reading."""
        self._done.set()
        self._finder.join()
        for thread in self._threads.values():
            thread.join()

    def cpu_between(self, begin: float, end: float) -> dict[str, float]:
        """Return CPU seconds between two wall times, of each container that worked then."""
        several = {name: rows for name, rows in self.samples.items() if len(rows) > 1}
        used = {name: _cpu_at(rows, end) - _cpu_at(rows, begin) for name, rows in several.items()}
        return {name: seconds for name, seconds in used.items() if seconds > 0}

    def memory(self, begin: float, end: float) -> dict[str, Memory]:
        """Return each container's memory around the time between two wall times."""
        return {name: Memory.of(rows, begin, end) for name, rows in self.samples.items()}


def _working_set(memory: Mapping[str, Any]) -> int:
    """Return the memory in use without the page cache that could be dropped."""
    return int(memory.get("usage", 0)) - int(memory.get("stats", {}).get("inactive_file", 0))


def _cpu_at(rows: Sequence[Sample], moment: float) -> float:
    """Return the CPU seconds at a moment, interpolated between the samples around it."""
    after = min(max(bisect(rows, moment, key=lambda row: row.at), 1), len(rows) - 1)
    before, later = rows[after - 1], rows[after]
    share = min(max((moment - before.at) / (later.at - before.at), 0.0), 1.0)
    return before.cpu_s + share * (later.cpu_s - before.cpu_s)
