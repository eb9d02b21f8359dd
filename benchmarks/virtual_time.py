"""An event loop and a clock that only waiting moves: what takes hours passes at once, and the same on every machine."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

# 2025-10-08T00:00:00Z: record timestamps begin here.
EPOCH_MS = 1_759_881_600_000

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time goes on only when everything waits, and then at once to the next timer.

    What should run in a thread runs in place, so that nothing depends on which is faster.
    """

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Leaping(self))

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self._now

    def leap(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

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


class _Leaping(selectors.DefaultSelector):  # type: ignore[misc,unused-ignore]  # chosen by the platform
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready; let the time-out pass at once when nothing is."""
        if timeout is None:
            raise RuntimeError("everything waits for something that will never happen")
        self._loop.leap(timeout)
        return super().select(0)


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
