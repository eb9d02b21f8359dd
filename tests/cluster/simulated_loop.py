"""An event loop of simulated time on which several operating-system processes live, freeze and die.

Time passes only when everything waits, and then at once to the next timer. Every callback belongs to the process in
whose context it was scheduled: a frozen process runs none until it thaws, a killed one never runs again.
"""

import asyncio
import contextvars
import itertools
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar, TypeVarTuple
from unittest.mock import patch

from aiokafka.producer.message_accumulator import BatchBuilder

from benchmarks.virtual_time import EPOCH_MS, Call, VirtualLoop

# Record timestamps begin here.
EPOCH_S = EPOCH_MS / 1000

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class ThreadWork(NamedTuple):
    """What becomes of work that a process does in a thread: seconds until its effect, and from there to its result.

    `refused` is raised in place of the effect, `unsure` in place of the result, after the effect.
    """

    before_s: float = 0.0
    after_s: float = 0.0
    refused: Exception | None = None
    unsure: Exception | None = None


class Process:
    """An operating-system process: callbacks that run, are held back while it is frozen, or are dropped once killed.

    Attributes:
        steps: callbacks that it has run; what is killed "at any await" is killed after one of them.

    """

    def __init__(self, name: str) -> None:
        self.name = name
        # Alive and not frozen.
        self.runs = self.alive = True
        self.frozen = False
        self.steps = 0
        self._held: list[asyncio.Handle] = []
        self._kill_at: tuple[int, Callable[[], None]] | None = None

    def kill(self) -> None:
        """End it as SIGKILL does: no callback, no `finally` runs any more."""
        self.runs = self.alive = False
        self._held.clear()

    def kill_after(self, steps: int, then: Callable[[], None]) -> None:
        """Call `then`, which should kill it, after so many more of its callbacks."""
        self._kill_at = (self.steps + steps, then)

    def freeze(self) -> None:
        """Stop it as SIGSTOP does; time goes on."""
        self.frozen, self.runs = True, False

    def thaw(self, loop: "SimulatedLoop") -> None:
        """Let it go on with all that came due meanwhile, in its order."""
        self.frozen, self.runs = False, self.alive
        held, self._held = self._held, []
        loop.run_soon(held)

    def admits(self, handle: asyncio.Handle) -> bool:
        """Tell whether a callback may run now; a frozen process keeps it for later, a killed one for never."""
        if not self.alive:
            return False
        if self.frozen:
            self._held.append(handle)
            return False
        return True

    def has_run(self) -> None:
        """Count a callback."""
        self.steps += 1
        if self._kill_at is not None and self.steps >= self._kill_at[0]:
            (_, then), self._kill_at = self._kill_at, None
            then()


# The process that a callback belongs to; None: the world's (brokers, network, mishaps).
CURRENT: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class ProcessCall(Call):
    """A callback of a process, at once or at a time."""

    process: Process

    def _run(self) -> None:
        """Call it if its process runs."""
        process = self.process
        if process.runs or process.admits(self):
            super()._run()
            process.has_run()


class _Numbered:
    """Hashes by number: a set of futures is walked in the order in which they were made, on every machine."""

    number: int

    def __hash__(self) -> int:
        try:
            return self.number
        except AttributeError:
            self.number = next(_numbers)
            return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class _Future(_Numbered, asyncio.Future[Any]):
    pass


class _Task(_Numbered, asyncio.Task[Any]):
    pass


_numbers = itertools.count()


class SimulatedLoop(VirtualLoop):
    """The loop. `thread_work` is asked what becomes of work in a thread, which runs in place."""

    round_s = 2e-6

    def __init__(self) -> None:
        global _numbers  # noqa: PLW0603  one history at a time, each numbered from nought
        _numbers = itertools.count()
        self.world = contextvars.copy_context()
        self.thread_work: Callable[[], ThreadWork] = ThreadWork
        # Kept: a killed process's coroutines must not be collected, that would run their `finally`.
        self.tasks: list[asyncio.Task[Any]] = []
        super().__init__()
        self.set_task_factory(_numbered_task)

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future that sets keep in order."""
        return _Future(loop=self)

    def call_soon(  # type: ignore[override]  # typeshed ties the arguments to the callback
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Call in the process of `context`, or of who asks."""
        call = self._call(0.0, callback, args, context)
        self._runs.append(call)
        return call

    def call_at(  # type: ignore[override]  # as above
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at a simulated time in the process of `context`, or of who asks."""
        return self._set(self._call(when, callback, args, context))

    def _call(self, when: float, callback: Any, args: tuple[Any, ...], context: contextvars.Context | None) -> Call:
        process = CURRENT.get() if context is None else context.get(CURRENT)
        if process is None:
            return Call(when, callback, args, self, context)
        call = ProcessCall(when, callback, args, self, context)
        call.process = process
        return call

    def run_soon(self, calls: Iterable[asyncio.Handle]) -> None:
        """Run what was held back, unless it was cancelled since."""
        self._runs.extend(call for call in calls if not call.cancelled())

    def call_soon_threadsafe(  # type: ignore[override]  # as above
        self, callback: Any, *_: Any, **__: Any
    ) -> asyncio.Handle:
        """Refuse: how far simulated time has come when a thread ends is another matter each time."""
        raise RuntimeError(f"a thread takes part in the simulation: {callback!r}")

    def context_of(self, process: Process) -> contextvars.Context:
        """Return a context in which all that is scheduled belongs to a process."""
        context = self.world.copy()
        context.run(CURRENT.set, process)
        return context

    def spawn(self, process: Process, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a coroutine as the main task of a process."""
        return self.create_task(work, context=self.context_of(process))

    def in_world(self, callback: Any, *args: Any, after: float = 0.0) -> asyncio.TimerHandle:
        """Call after some seconds, in no process."""
        return self._set(Call(self._now + after, callback, args, self, self.world))

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Arguments], T],
        *args: *Arguments,
    ) -> asyncio.Future[T]:
        """Call the function after a while, and tell its result a while later: a process may die before, or between."""
        fate = self.thread_work()
        done: asyncio.Future[T] = self.create_future()

        def work() -> None:
            result, error = None, fate.refused
            if error is None:
                try:
                    result = func(*args)
                except Exception as raised:  # noqa: BLE001  whoever waits gets it
                    error = raised
            self.call_later(fate.after_s, _tell, done, result, error or fate.unsure)

        self.call_later(fate.before_s, work)
        return done


def _tell(done: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def _numbered_task(
    loop: Any, work: Any, *, name: str | None = None, context: contextvars.Context | None = None
) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = _Task(work, loop=loop, name=name, context=context)
    loop.tasks.append(task)
    return task


@contextmanager
def simulated_time(loop: SimulatedLoop) -> Iterator[None]:
    """Let the libraries' own clocks show simulated time: aiokafka and tenacity take no clock as an argument."""
    append = BatchBuilder.append

    def stamped(batch: BatchBuilder, *, timestamp: int | None, **record: Any) -> Any:
        # The client's compiled part has a clock of its own.
        return append(
            batch, timestamp=int((EPOCH_S + loop.time()) * 1000) if timestamp is None else timestamp, **record
        )

    async def in_place(work: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
        # FastStream's way to call a plain function of a service's stop.
        return work(*arguments)

    with (
        patch("anyio.to_thread.run_sync", in_place),
        patch.object(BatchBuilder, "append", stamped),
        patch("time.monotonic", loop.time),
        patch("time.time", lambda: EPOCH_S + loop.time()),
        patch("time.time_ns", lambda: int((EPOCH_S + loop.time()) * 1e9)),
    ):
        yield
