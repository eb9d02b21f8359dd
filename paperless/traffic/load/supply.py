"""Applications to send, made ahead of their moments: making one costs more than sending it."""

from collections import deque
from collections.abc import Iterator
from datetime import date
from itertools import islice
from typing import NamedTuple

from contracts.draws import draws
from contracts.records import Headers, header_maker, partitions_of
from contracts.topics import APPLICATIONS_SUBMITTED
from domain import load_domain
from paperless.population.arrivals import SimulatedDay, arrivals
from paperless.population.population import Population
from paperless.population.scenario import DEFAULT_SCENARIO, load_scenario, simulated_days

# About 1.3 KB each. A run with more of them makes the rest while it waits for a moment.
AHEAD = 150_000
# Under a millisecond of work.
SLICE = 40
_SOURCE = "/simulation/load"
_headers = header_maker(_SOURCE, APPLICATIONS_SUBMITTED.event_type)


class Ready(NamedTuple):
    """A record of `applications.submitted` that only waits for its moment."""

    partition: int
    key: bytes
    value: bytes
    headers: Headers


def population_seed(seed: int, log_length: int, step: int) -> int:
    """Return the seed that people and offices of one step are drawn from.

    An application is named by seed, day, commune and number, and one that was filed before would only be repeated. So
    the log's length goes into the seed: what a log already holds is never filed again, and the same load on a log of
    the same length files the same.
    """
    return int(draws(seed, "load population", log_length, step)[0] * 2**32)


class Supply:
    """Applications of one simulated day (the default scenario's), in their order; as many as are asked for."""

    def __init__(self, *, seed: int, applications: int, partitions: int) -> None:
        """Draw the arrivals; about 4 µs each."""
        domain = load_domain()
        scenario = load_scenario(DEFAULT_SCENARIO, domain)
        self.day: date = scenario.days[0]
        self._plan = scenario, seed
        self._block = max(applications, 1)
        self._blocks = self._made = 0
        self._partitions = partitions
        self._ready: deque[Ready] = deque()
        self._source = self._submissions()

    def take(self) -> Ready:
        """Return the next application, made now if none is ready."""
        if not self._ready:
            self.make(SLICE)
        return self._ready.popleft()

    @property
    def low(self) -> bool:
        """Whether making more is of use before the next moment: not of more than the run will need."""
        return len(self._ready) < AHEAD and self._made < self._block

    def make(self, number: int) -> None:
        """Make this many applications ready."""
        self._made += number
        submissions = list(islice(self._source, number))
        targets = partitions_of([key for key, _ in submissions], self._partitions)
        for (key, value), partition in zip(submissions, targets, strict=True):
            self._ready.append(Ready(partition, key, value, _headers(f"{key.decode()}/submitted")))

    def _submissions(self) -> Iterator[tuple[bytes, bytes]]:
        # A closed loop knows its end only when it is there: it gets a further block, of a seed of its own.
        while True:
            day = self._next_day()
            population = Population(day)
            for arrival in arrivals(day):
                yield population.submission(arrival)

    def _next_day(self) -> SimulatedDay:
        scenario, seed = self._plan
        self._blocks += 1
        return simulated_days(scenario, load_domain(), seed=seed + self._blocks, applications=self._block)[0]
