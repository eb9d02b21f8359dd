"""What a person sees of a load run: while it goes on, its figures, and two runs beside each other."""

import time
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.table import Table

from paperless.cli.output import make_console
from paperless.cli.progress import LINE_EVERY_S, LiveView
from paperless.traffic.load.compare import FIGURES, MEASURES, Row, figures
from paperless.traffic.load.plan import Progress
from paperless.traffic.load.result import LoadResult, Measured


class LoadView(LiveView):
    """Shows a run's last moment."""

    def __init__(self) -> None:
        super().__init__(refresh_per_second=4)

    def tell(self, sentence: str) -> None:
        """Print a sentence that stays."""
        self._console.print(sentence, markup=False)

    def show(self, now: Progress) -> None:
        """Show the last moment."""
        if self._console.is_terminal:
            self._live.update(_progress_table(now))
        elif time.monotonic() - self._line_at >= LINE_EVERY_S:
            self._line_at = time.monotonic()
            cells = zip(_HEAD, _progress_cells(now), strict=True)
            self.tell(", ".join(f"{name} {value}" for name, value in cells))


_HEAD = ("phase", "seconds", "asked/s", "sent", "sent/s", "decided/s", "backlog", "p50 ms", "p99 ms")


def _progress_cells(now: Progress) -> list[str]:
    p50, p99 = ("–" if value is None else f"{value:,.1f}" for value in (now.p50, now.p99))
    asked = "–" if now.asked is None else f"{now.asked:,.0f}"
    rates = (f"{now.sent:,}", f"{now.sent_per_s:,.0f}", f"{now.decided_per_s:,.0f}", f"{now.backlog:,}")
    return [now.phase, f"{now.elapsed_s:.0f}", asked, *rates, p50, p99]


def _progress_table(now: Progress) -> Table:
    table = Table(title="Load; latencies to the stored cell, of the last moment", title_justify="left")
    for name in _HEAD:
        table.add_column(name, justify="right")
    table.add_row(*_progress_cells(now))
    return table


def print_result(result: LoadResult) -> None:
    """Print the figures, what became of every application, and what to know about both."""
    console = make_console()
    for line in result_text(result):
        console.print(line)
    for sentence in result.notes:
        console.print(f"- {sentence}", markup=False, soft_wrap=True)


def result_text(result: LoadResult) -> list[RenderableType]:
    """Return a result as text."""
    if result.measured is None:
        return ["no rate was sustained" if result.mode == "max" else "nothing was measured"]
    head = f"highest sustained rate: {result.rate:,.0f}/s" if result.mode == "max" and result.rate else ""
    return [*filter(None, [head]), _figures_table(result.measured, result.plan_name), _counts(result.measured)]


def _figures_table(measured: Measured, plan: str) -> Table:
    table = Table(
        title=f"Latency in ms from the intended moment: {measured.to_stored.count:,} applications, fault plan {plan}",
        title_justify="left",
    )
    table.add_column("")
    for name in FIGURES:
        table.add_column(name, justify="right")
    for name, title in MEASURES:
        table.add_row(title, *(f"{value:,.1f}" for value in figures(getattr(measured, name))))
    return table


def _counts(measured: Measured) -> str:
    counts, meter = measured.counts, measured.meter
    return (
        f"sent {counts.sent:,}, acknowledged {counts.acknowledged:,}, decided {counts.decided:,},"
        f" stored {counts.stored:,}; missing {counts.missing:,}, seen again {counts.seen_again:,}\n"
        f"driver, CPU µs per application: generator {meter.generator:g}, observer {meter.observer:g},"
        f" clients and event loop {meter.clients:g}"
    )


def print_comparison(names: Sequence[str], rows: Sequence[Row], differences: Sequence[str]) -> None:
    """Print two runs beside each other."""
    console: Console = make_console()
    table = Table(title="Latency in ms from the intended moment", title_justify="left")
    for name in ("measure", "figure"):
        table.add_column(name)
    for name in (*names, "ratio"):
        table.add_column(name, justify="right")
    for row in rows:
        ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(row.measure, row.figure, f"{row.a:,.2f}", f"{row.b:,.2f}", ratio)
    console.print(table if rows else "one of them has no figures: its search found no rate")
    for difference in differences:
        console.print(f"- the runs differ in {difference}", markup=False, soft_wrap=True)
