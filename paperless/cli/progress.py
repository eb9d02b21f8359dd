"""What a person sees while something goes on: the sending with its moving league table, and what is waited for."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from paperless.cli.options import API
from paperless.cli.output import make_console
from paperless.cli.tables import league_table
from paperless.population.arrivals import SimulatedDay
from paperless.traffic.driver import Progress as Sent
from paperless.verification import scoring_client

# The league table moves while records pour in; asking more often would cost what is being shown.
TABLE_EVERY_S = 1.0
LINE_EVERY_S = 5.0
TOP_ROWS = 10


class LiveView:
    """Something that goes on, shown: on a terminal a live display, elsewhere a line every few seconds."""

    def __init__(self, refresh_per_second: int) -> None:
        self._console = make_console()
        self._live = Live(console=self._console, refresh_per_second=refresh_per_second, transient=True)
        self._line_at = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.__exit__(kind, error, trace)


class SendingView(LiveView):
    """Shows how far the sending is and, where the scoring API answers, the moving league table."""

    def __init__(self, days: Sequence[SimulatedDay], endpoints: Mapping[str, str]) -> None:
        super().__init__(refresh_per_second=8)
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[at]}"),
            TextColumn("{task.fields[per_s]}"),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task("sent", total=sum(day.applications for day in days), at="", per_s="")
        url = endpoints.get(API)
        self._api = scoring_client.client(url, timeout_s=1) if url else None
        self._table: RenderableType = ""
        self._asked_at = self._line_at

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._api:
            self._api.close()

    def show(self, sent: Sent) -> None:
        """Show one progress report of the driver."""
        per_s = f"{sent.sent / sent.elapsed_s:,.0f}/s" if sent.elapsed_s > 0 else ""
        at = f"{sent.at:%d/%m %H:%M}" if sent.at else ""
        self._bar.update(self._task, completed=sent.sent, at=at, per_s=per_s)
        now = time.monotonic()
        if self._console.is_terminal:
            if now - self._asked_at >= TABLE_EVERY_S:
                self._asked_at = now
                self._table = self._league()
            self._live.update(Group(self._bar, self._table))
        elif now - self._line_at >= LINE_EVERY_S or sent.sent == sent.planned:
            self._line_at = now
            self._console.print(f"sent {sent.sent:,} of {sent.planned:,}, event time {at}, {per_s}")

    def _league(self) -> RenderableType:
        if self._api is None:
            return ""
        try:
            return league_table(scoring_client.ask(self._api, scoring_client.rates()), limit=TOP_ROWS)
        except scoring_client.ScoringApiError:
            return self._table


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """Show what is being waited for, on one line of a terminal."""
    console = make_console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("verifying") as status:
        yield lambda text: status.update(f"verifying: {text[: console.width - 20]}")
