"""An event loop and a clock that only waiting moves: what takes hours passes at once, and the same on every machine."""

import asyncio
import contextvars
import heapq
import itertools
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

# 2025-10-08T00:00:00Z: record timestamps begin here.
EPOCH_MS = 1_759_881_600_000
# Timers that are due so little later (seconds) are due now; asyncio asks the system's clock for its resolution.
RESOLUTION_S = 1e-9

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Call(asyncio.TimerHandle):
    """A callback that waits for its turn or its time; asyncio's own cost several times as much."""

    def __init__(  # the parent's would look for a debugger, and where in the source it is made
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._when, self._callback, self._args, self._loop = when, callback, args, loop
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = self._scheduled = False
        self._source_traceback = self._repr = None

    def cancel(self) -> None:
        """Never call it."""
        self._cancelled, self._args = True, ()

    def _run(self) -> None:
        """Call it; what it raises is told to the loop."""
        try:
            self._context.run(self._callback, *self._args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  as asyncio does
            told = {"message": f"exception in {self._callback!r}", "exception": error, "handle": self}
            self._loop.call_exception_handler(told)


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose time goes on only when everything waits, and then at once to the next timer.

    It knows no files and no sockets. What should run in a thread runs in place, so that nothing depends on which is
    faster; timers of one moment run in the order in which they were set.
    """

    # What one round of callbacks takes. Without it a wait shorter than a float can add would never end.
    round_s = 0.0

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[tuple[float, int, Call]] = []
        self._numbers = itertools.count()
        super().__init__()
        # Where asyncio's loop keeps what is to run.
        inside: Any = self
        self._runs = inside._ready

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self._now

    def call_soon(  # type: ignore[override]  # typeshed ties the arguments to the callback
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Call in the next round."""
        call = Call(0.0, callback, args, self, context)
        self._runs.append(call)
        return call

    def call_at(  # type: ignore[override]  # as above
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at a virtual time."""
        return self._set(Call(when, callback, args, self, context))

    def call_later(  # type: ignore[override]  # as above
        self, delay: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call so many virtual seconds later."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _set(self, call: Call) -> Call:
        heapq.heappush(self._timers, (call.when(), next(self._numbers), call))
        return call

    def _run_once(self) -> None:
        runs, timers = self._runs, self._timers
        self._now += self.round_s
        if not runs:
            while timers and timers[0][2]._cancelled:
                heapq.heappop(timers)
            if not timers:
                raise RuntimeError("everything waits for something that will never happen")
            self._now = max(self._now, timers[0][0])
        due = self._now + RESOLUTION_S
        while timers and timers[0][0] <= due:
            runs.append(heapq.heappop(timers)[2])
        for _ in range(len(runs)):
            call = runs.popleft()
            if not call._cancelled:
                call._run()

    def close(self) -> None:
        """Forget all that waits."""
        super().close()
        self._timers.clear()

    def _write_to_self(self) -> None:
        """Nobody waits in a system call."""

    def run_in_executor(
        self,
        executor: Executor | None,  # noqa: ARG002  the loop's signature
        func: Callable[[*Arguments], T],
        *args: *Arguments,
    ) -> asyncio.Future[T]:
        """Call the function in place."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  whoever waits gets it
            done.set_exception(error)
        return done


class VirtualClock:
    """The running loop's time, as `runtime.clock.Clock`."""

    def now(self) -> float:
        """Return virtual seconds."""
        return asyncio.get_running_loop().time()

    def wall_ms(self) -> int:
        """Return milliseconds since the Unix epoch, of a fixed day."""
        return EPOCH_MS + int(self.now() * 1000)


def run_virtually(main: Callable[[], Awaitable[None]]) -> None:
    """Run to the end on a loop of its own."""

    async def whole() -> None:
        await main()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(whole())
