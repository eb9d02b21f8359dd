"""What a person sees: progress, the moving league table, verdicts and tables; and the same as JSON."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from paperless.cli.options import API
from paperless.population.arrivals import SimulatedDay
from paperless.traffic.driver import Progress as Sent
from paperless.traffic.manifest import ManifestError
from paperless.verification import scoring_client
from paperless.verification.checkers import Verdict
from services.scoring.rates.definitions import MeasureName, Published
from services.scoring.rates.rates import Rate, RateRow, RatesTable
from services.scoring.rates.why import WhyTable

# The league table moves while records pour in; asking more often would cost what is being shown.
TABLE_EVERY_S = 1.0
LINE_EVERY_S = 5.0
TOP_ROWS = 10
WIDE = 140
SHARES: Final[tuple[MeasureName, ...]] = ("d1", "d2", "paperless", "online", "on_time")
_LABELS = {"dead_lettered": "dead-lettered", "re_delivered": "re-delivered"}


def make_console(*, stderr: bool = False) -> Console:
    """Return the console of a command; where no terminal gives a width, tables get the one they need."""
    console = Console(highlight=False, stderr=stderr)
    return console if console.is_terminal else Console(highlight=False, stderr=stderr, width=WIDE)


def write_json(path: Path | None, value: Mapping[str, Any]) -> None:
    """Write a result to a file, in a fixed order of keys.

    Raises:
        ManifestError: the file cannot be written.

    """
    if path is not None:
        with _writing(path):
            path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ManifestError(f"{path}: cannot be written ({error.strerror}); choose another --json file") from error


def clear_json(path: Path | None) -> None:
    """See early that a result can be written, and empty an earlier one: it must not be read as this run's.

    Raises:
        ManifestError: the file cannot be written.

    """
    if path is None:
        return
    with _writing(path):
        # A pipe is left alone: its reader would take this for the end.
        if path.is_file() or not path.exists():
            path.write_text("", encoding="utf-8")


def percent(rate: Rate) -> str:
    """Return a rate as text, a dash where nothing was counted."""
    return f"{100 * rate.numerator / rate.denominator:.2f} %" if rate.denominator else "–"


def _figure(published: Published | None) -> str:
    """Return a published figure as text with its evidence mark, a dash where there is none."""
    return f"{100 * published.value:.2f} % [{published.evidence}]" if published else "–"


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


def league_table(rates: RatesTable, limit: int | None = None) -> Table:
    """Return the provinces by D1; `limit` keeps the first ones and the last three."""
    rows = [row for row in rates.rows if row.applications]
    table = Table(
        title=f"End to end (D1), {rates.authority}-run procedures: {percent(rates.total.rates['d1'])} "
        f"of {rates.total.applications:,}",
        title_justify="left",
    )
    for name in ("#", "province"):
        table.add_column(name)
    for name in ("applications", "D1", "D2", "paperless", "online", "on time"):
        table.add_column(name, justify="right")
    shown = rows if limit is None or len(rows) <= limit else [*rows[: limit - 3], *rows[-3:]]
    for row in shown:
        table.add_row(str(row.rank), row.name_vi, f"{row.applications:,}", *_shares(row))
    return table


def _shares(row: RateRow) -> list[str]:
    return [percent(row.rates[name]) for name in SHARES]


def authority_table(rates: RatesTable) -> Table:
    """Return the rates by who runs the procedures, each beside its published figure."""
    table = Table(title="Simulated beside published", title_justify="left")
    table.add_column("procedures run by")
    for name in ("applications", "D1", "published D1", "D2", "paperless", "online", "on time"):
        table.add_column(name, justify="right")
    for row in rates.by_authority:
        d1, *others = _shares(row)
        table.add_row(row.name_en, f"{row.applications:,}", d1, _figure(row.published.get("d1")), *others)
    country = rates.country_d1
    if country and country.value is not None and country.published:
        mix = f"Country at the published mix ({country.province_share:.1%} / {country.ministry_share:.1%})"
        table.add_row(mix, "", f"{100 * country.value:.2f} %", _figure(country.published), *[""] * 4)
    return table


def rates_text(rates: RatesTable) -> list[RenderableType]:
    """Return the rates as text: league table, both authorities, definitions."""
    definitions = [
        f"{name}: {each.name_vi} ({each.name_en}) = {each.numerator} / {each.denominator}"
        for name, each in rates.definitions.items()
    ]
    return [league_table(rates), authority_table(rates), *definitions]


def why_text(why: WhyTable, limit: int = 15) -> list[RenderableType]:
    """Return why applications did not end end to end, and what lifting each reason would give."""
    where = why.province or "the country"
    head = (
        f"{why.not_end_to_end:,} of {why.applications:,} applications ({why.authority}-run) in {where} "
        f"did not end end to end; D1 is {percent(why.d1)}"
    )
    reasons = Table("reason", title="Reasons; an application can have several", title_justify="left")
    for name in ("applications", "alone", "D1 if lifted"):
        reasons.add_column(name, justify="right")
    for row in why.reasons[:limit]:
        lifted = percent(row.d1_if_lifted) + (" at most" if row.upper_bound else "")
        reasons.add_row(f"{row.name_vi} ({row.reason})", f"{row.applications:,}", f"{row.alone:,}", lifted)
    pairs = Table("both lifted", title="What two together would lift", title_justify="left")
    pairs.add_column("D1 if lifted", justify="right")
    for pair in why.pairs[:5]:
        pairs.add_row(" + ".join(pair.reasons), percent(pair.d1_if_lifted))
    databases = Table("database", title="Databases: what their misses cost", title_justify="left")
    for name in ("found", "missing", "mismatch", "unreachable", "blocking", "alone"):
        databases.add_column(name, justify="right")
    for base in why.databases[:limit]:
        counts = (base.found, base.missing, base.mismatch, base.unreachable, base.blocking, base.alone)
        databases.add_row(base.name_vi, *[f"{number:,}" for number in counts])
    return [head, reasons, pairs, databases]


def print_verdict(verdict: Verdict) -> None:
    """Print the verdict and, where it is not ok, exactly what differs."""
    console = make_console()
    console.print(f"verdict: {'ok' if verdict.ok else 'NOT OK'}", style="bold green" if verdict.ok else "bold red")
    for name, value in verdict_json(verdict)["counts"].items():
        console.print(f"  {_LABELS.get(name, name.replace('_', ' ')):<14} {value:>9,}")
    console.print(f"  {agreement(verdict)}")
    for reason, count in verdict.dead_letters.items():
        console.print(f"  dead letters   {count:>9,}  {reason}")
    for difference in verdict.differences:
        console.print(f"  - {difference}", markup=False, soft_wrap=True)


def agreement(verdict: Verdict) -> str:
    """Return how live store, recount and oracle compare, as one line."""
    live = "live = recount" if verdict.live_equals_recount else "live ≠ recount"
    if verdict.recount_equals_oracle is None:
        return f"{live} (the plan was changed by hand: no oracle)"
    return f"{live} {'=' if verdict.recount_equals_oracle else '≠'} oracle"


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict for JSON."""
    return {
        "verdict": "ok" if verdict.ok else "not ok",
        "counts": {
            "submitted": verdict.submitted,
            "decided": verdict.decided,
            "dead_lettered": verdict.dead_lettered,
            "lost": verdict.lost,
            "counted_twice": verdict.counted_twice,
            "re_delivered": verdict.re_delivered,
            "presumed": verdict.presumed,
            "overruled": verdict.overruled,
            "conflicts": verdict.conflicts,
        },
        "readings": agreement(verdict),
        "dead_letters": dict(verdict.dead_letters),
        "differences": list(verdict.differences),
    }
