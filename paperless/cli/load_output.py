"""What a person sees of a load run: while it goes on, its figures, and two runs beside each other."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import RenderableType

from paperless.cli.phases import Running, backlog_told
from paperless.cli.terminal import Column, Terminal, table
from paperless.language import Message, Texts, message
from paperless.language.texts import NONE
from paperless.traffic.load.compare import FIGURES, MEASURES, Difference, Row, figures
from paperless.traffic.load.notes import notes_of
from paperless.traffic.load.plan import Progress
from paperless.traffic.load.result import LoadResult, Measured

_HEAD: Final = ("phase", "seconds", "asked", "sent", "sent_per_s", "decided_per_s", "backlog", "p50", "p99")
# A person compares two runs by these; the rest is in the JSON, and on request.
_SHOWN: Final = ("p50", "p95", "p99", "p99.9", "max", "mean")
_NAMED: Final = ("max", "mean")


class Loading(Running):
    """Load goes on: the run's last moment, and what keeps services from working."""

    def __init__(self, health_urls: Mapping[str, str]) -> None:
        super().__init__("phase.measuring_ceiling", health_urls)
        self._now: Progress | None = None

    def show(self, now: Progress) -> None:
        """Take over a run's last moment."""
        self._now = now

    def told(self, elapsed_s: float) -> list[Message]:
        now = self._now
        if now is None:
            return super().told(elapsed_s)[:1]
        troubles = backlog_told(self.backlog, None) if self.backlog.troubles() else []
        own = message(
            "phase.loading",
            seconds=round(elapsed_s),
            phase=message(f"load.{now.phase.replace('-', '_')}"),
            sent=now.sent,
            per_s=round(now.sent_per_s),
            backlog=now.backlog,
        )
        return [own, *troubles]

    def drawn(self, texts: Texts) -> RenderableType | None:
        return None if self._now is None else _progress_table(texts, self._now)


def _progress_cells(texts: Texts, now: Progress) -> list[str]:
    p50, p99 = (NONE if value is None else texts.number(value, 1) for value in (now.p50, now.p99))
    asked = NONE if now.asked is None else texts.number(now.asked)
    counts = [texts.number(value) for value in (now.sent, now.sent_per_s, now.decided_per_s, now.backlog)]
    return [texts(f"load.{now.phase.replace('-', '_')}"), f"{now.elapsed_s:.0f}", asked, *counts, p50, p99]


def _progress_table(texts: Texts, now: Progress) -> RenderableType:
    columns = [Column(texts(f"load.{name}")) for name in _HEAD]
    return table(texts("load.progress"), columns, [_progress_cells(texts, now)])


def print_result(terminal: Terminal, result: LoadResult) -> None:
    """Print the figures, what became of every application, and what to know about both."""
    if result.measured is None:
        terminal.say("load.none_sustained" if result.mode == "max" else "load.nothing_measured")
    else:
        if result.mode == "max" and result.rate:
            terminal.say("load.highest", rate=round(result.rate))
        terminal.show(_figures_table(terminal, result.measured, result.plan_name))
        _print_counts(terminal, result.measured)
    for note in notes_of(result):
        terminal.line(f"- {terminal.texts.say(note)}")


def _figures_table(terminal: Terminal, measured: Measured, plan: str) -> RenderableType:
    texts = terminal.texts
    columns = [Column("", number=False), *(Column(_figure(texts, name), wide=name not in _SHOWN) for name in FIGURES)]
    lines = [
        [texts(f"load.{name}"), *(texts.number(value, 1) for value in figures(getattr(measured, name)))]
        for name in MEASURES
    ]
    return table(texts("load.title", count=measured.to_stored.count, plan=plan), columns, lines, wide=terminal.wide)


def _figure(texts: Texts, name: str) -> str:
    return texts(f"load.{name}") if name in _NAMED else name


def _print_counts(terminal: Terminal, measured: Measured) -> None:
    counts, meter = measured.counts, measured.meter
    terminal.say(
        "load.counts",
        sent=counts.sent,
        acknowledged=counts.acknowledged,
        decided=counts.decided,
        stored=counts.stored,
        missing=counts.missing,
        again=counts.seen_again,
    )
    terminal.say("load.driver", generator=meter.generator, observer=meter.observer, clients=meter.clients)


def print_comparison(
    terminal: Terminal, names: Sequence[str], rows: Sequence[Row], differences: Sequence[Difference]
) -> None:
    """Print two runs beside each other."""
    texts = terminal.texts
    columns = [
        *(Column(texts(f"load.{name}"), number=False) for name in ("measure", "figure")),
        *(Column(name) for name in (*names, texts("load.ratio"))),
    ]
    lines = [
        [
            texts(f"load.{row.measure}"),
            _figure(texts, row.figure),
            *(texts.number(value, 2) for value in (row.a, row.b)),
            NONE if row.ratio is None else texts.number(row.ratio, 2),
        ]
        for row in rows
    ]
    if rows:
        terminal.show(table(texts("load.compare_title"), columns, lines))
    else:
        terminal.say("load.no_figures")
    for setting, a, b in differences:
        terminal.line(f"- {texts('load.differ', name=message(f'difference.{setting}'), a=str(a), b=str(b))}")
