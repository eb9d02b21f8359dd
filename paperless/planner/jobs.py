"""Work that takes seconds, done in a thread beside the server, once for all who ask for it."""

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

Result = TypeVar("Result")


class Working(NamedTuple):
    """A result that is not there yet, and for how long it has been worked on or waited for."""

    since_s: float


class _Job(NamedTuple, Generic[Result]):
    future: "Future[Result]"
    began: float


class Jobs(Generic[Result]):
    """Does one work after the other, and keeps the results that were asked for last.

    Args:
        most: how many results are kept.
        clock: seconds, for how long a work has taken.

    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._pool = ThreadPoolExecutor(1)
        self._jobs: dict[Hashable, _Job[Result]] = {}

    def get(self, key: Hashable, work: Callable[[], Result]) -> Result | Working:
        """Return the result that goes by this key, and start its work where nobody has; raises what the work raises.

        A work that failed is done anew when it is asked for again.
        """
        job = self._jobs.pop(key, None) or _Job(self._pool.submit(work), self._clock())
        # Looked at once: a work that fails after that is still kept, and its failure is what the next one gets.
        done = job.future.done()
        result = job.future.result() if done else Working(self._clock() - job.began)
        self._jobs[key] = job
        self._forget()
        return result

    def _forget(self) -> None:
        """Forget what was asked for longest ago, but nothing that is being worked on."""
        done = [key for key, job in self._jobs.items() if job.future.done()]
        for key in done[: max(0, len(self._jobs) - self._most)]:
            del self._jobs[key]

    def close(self) -> None:
        """Start no further work; what is being done ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
