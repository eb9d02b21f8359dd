"""What a person sees of a run with faults: while it goes on, and what it came to."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.progress_bar import ProgressBar

from paperless.chaos.injector import Event
from paperless.chaos.picture import fault_text
from paperless.chaos.plan import Fault
from paperless.chaos.recovery import Sample
from paperless.chaos.result import ChaosResult
from paperless.cli.narration import Narration
from paperless.cli.terminal import Column, Terminal, table
from paperless.language import Message, Texts, message
from paperless.language.texts import NONE

_BAR_WIDTH = 60


class Experimenting:
    """Applications arrive and faults happen: what was sent, what waits, and the faults of just now."""

    def __init__(self, planned: int, narration: Narration) -> None:
        self._planned, self._narration = planned, narration
        self._last: Sample | None = None
        self._lasting: tuple[Fault, ...] = ()

    def sample(self, sample: Sample) -> None:
        """Take over the newest sample."""
        self._last = sample

    def event(self, event: Event) -> None:
        """Print that a fault has begun or ended."""
        fault = event.fault
        if event.ended:
            self._lasting = tuple(each for each in self._lasting if each != fault)
            if not fault.lasts_s:
                return
        else:
            self._lasting = (*self._lasting, fault) if fault.lasts_s else self._lasting
        told = fault_text(self._narration.terminal.texts, fault)
        self._narration.say("chaos.ended" if event.ended else "chaos.began", at=f"{event.at_s:6.1f}", fault=told)

    async def look(self) -> None:
        """Nothing to ask: samples come by themselves."""

    def told(self, elapsed_s: float) -> list[Message]:
        """Return how far it is."""
        last = self._last
        values: dict[str, object] = {
            "seconds": round(last.at_s if last else elapsed_s),
            "sent": last.sent if last else 0,
            "planned": self._planned,
            "open": last.open if last else 0,
            "lag": NONE if last is None or last.lag is None else last.lag,
        }
        if not self._lasting:
            return [message("phase.chaos", **values)]
        faults = ", ".join(fault_text(self._narration.terminal.texts, fault) for fault in self._lasting)
        return [message("phase.chaos_hit", **values, faults=faults)]

    def alarm(self) -> str:
        """Nothing: what goes wrong here is meant to."""
        return ""

    def drawn(self, _: Texts) -> RenderableType | None:
        """Return how much is sent, as a bar."""
        return ProgressBar(total=self._planned, completed=self._last.sent if self._last else 0, width=_BAR_WIDTH)


def show_result(terminal: Terminal, result: ChaosResult) -> None:
    """Print whether all holds, what the faults cost, and how long each took to be got over."""
    texts, run, counts = terminal.texts, result.run, result.counts
    style = "bold green" if result.ok else "bold red"
    terminal.say("chaos.holds" if result.ok else "chaos.fails", faults=len(run.plan), style=style)
    terminal.say(
        "chaos.counts",
        duplicates=result.duplicates,
        presumed=counts["presumed"],
        overruled=counts["overruled"],
        restarts=sum(result.restarts.values()),
    )
    if any(result.restarts.values()):
        named = [f"{name} {times}" for name, times in result.restarts.items() if times]
        terminal.say("chaos.restarts", restarts=", ".join(named))
    if result.unready:
        terminal.say("chaos.unready", parts=", ".join(result.unready))
    terminal.line("")
    terminal.show(_recoveries(texts, result), "")


def _recoveries(texts: Texts, result: ChaosResult) -> RenderableType:
    columns = [
        Column(texts("chaos.at")),
        Column(texts("chaos.fault"), number=False),
        Column(texts("chaos.lasted")),
        Column(texts("chaos.recovered")),
    ]
    return table(
        texts("chaos.recovery"),
        columns,
        list(_rows(texts, result)),
        note=texts("chaos.recovery_note", steady=result.run.steady),
    )


def _rows(texts: Texts, result: ChaosResult) -> Sequence[list[str]]:
    return [
        [
            texts.number(began, 1),
            fault_text(texts, fault),
            texts.number(ended - began, 1),
            texts("chaos.never") if seconds is None else texts.number(seconds, 1),
        ]
        for (fault, began, ended), seconds in result.run.recoveries
    ]
