"""What goes on now: a live display on a terminal, elsewhere a line every few seconds, whatever the command waits for.

A thread of its own tells it: most of what takes long is somebody else's code, which does not call back. Another one
asks how the system is: whom it asks may be slow, and what is known is told meanwhile.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from paperless.cli.terminal import Terminal
from paperless.language import Message, Texts, message

# Nobody waits for 5 s without a word, on a machine that is late itself.
LINE_EVERY_S: Final = 3.0
LOOK_EVERY_S: Final = 1.0
_TICK_S: Final = 0.1
_REFRESH_PER_S: Final = 4.0


class Phase(Protocol):
    """Something that goes on for a while."""

    async def look(self) -> None:
        """Find out how it is, about once a second; runs in the narrator's own loop."""

    def told(self, elapsed_s: float) -> list[Message]:
        """Return what to say of it now."""

    def alarm(self) -> str:
        """Return what has to be said at once when it changes, and is not said again while it stays."""

    def drawn(self, texts: Texts) -> RenderableType | None:
        """Return what a live display shows below."""


class Plain:
    """A phase of which nothing is known but that it goes on: the key of a sentence that says for how long."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def look(self) -> None:
        """Nothing to ask."""

    def told(self, elapsed_s: float) -> list[Message]:
        return [message(self._key, seconds=round(elapsed_s))]

    def alarm(self) -> str:
        return ""

    def drawn(self, _: Texts) -> RenderableType | None:
        return None


class Narration:
    """Tells the phases of a command; a context manager."""

    def __init__(
        self, terminal: Terminal, *, every_s: float = LINE_EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.terminal = terminal
        self._every_s, self._clock = every_s, clock
        self._phase: Phase | None = None
        self._since = self._said_at = clock()
        self._alarm = ""
        self._ended = threading.Event()
        work = (self._tell, lambda: asyncio.run(self._look()))
        self._threads = [threading.Thread(target=each, name="narration", daemon=True) for each in work]
        self._live = Live(
            console=terminal.console, get_renderable=self._drawn, refresh_per_second=_REFRESH_PER_S, transient=True
        )

    def __enter__(self) -> Self:
        if self.terminal.console.is_terminal:
            self._live.__enter__()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        if self.terminal.console.is_terminal:
            self._live.__exit__(kind, error, trace)

    def enter(self, phase: Phase | str) -> None:
        """Tell of this phase from now on; of one that is only a key, that it goes on."""
        if phase is not self._phase:
            self._phase, self._since = Plain(phase) if isinstance(phase, str) else phase, self._clock()

    def say(self, key: str, /, **values: object) -> None:
        """Print a sentence that stays."""
        self.line(self.terminal.texts(key, **values))

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._said_at = self._clock()
        self.terminal.line(text)

    def _tell(self) -> None:
        while not self._ended.wait(_TICK_S):
            phase = self._phase
            if phase is not None:
                self._say_if_due(phase, self._clock())

    async def _look(self) -> None:
        looking: asyncio.Task[None] | None = None
        looked_at = -LOOK_EVERY_S
        while not self._ended.is_set():
            phase, now = self._phase, self._clock()
            if phase and now - looked_at >= LOOK_EVERY_S and (looking is None or looking.done()):
                looked_at, looking = now, asyncio.create_task(_look(phase))
            await asyncio.sleep(_TICK_S)
        if looking is not None:
            looking.cancel()
            await asyncio.wait({looking})

    def _say_if_due(self, phase: Phase, now: float) -> None:
        alarm = phase.alarm()
        changed, self._alarm = alarm != self._alarm, alarm
        if not self.terminal.console.is_terminal and (changed or now - self._said_at >= self._every_s):
            self.line(self._sentence(phase, now))

    def _sentence(self, phase: Phase, now: float) -> str:
        said = [self.terminal.texts.say(each) for each in phase.told(now - self._since)]
        return "; ".join(filter(None, said))

    def _drawn(self) -> RenderableType:
        phase = self._phase
        if phase is None:
            return Text("")
        below = phase.drawn(self.terminal.texts)
        return Group(Text(self._sentence(phase, self._clock())), *([] if below is None else [below]))


async def _look(phase: Phase) -> None:
    # Whom it asks may be away or answer nonsense; the next look tells.
    with suppress(Exception):
        await phase.look()
