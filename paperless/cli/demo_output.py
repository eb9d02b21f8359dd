"""What a demo came to, as a person reads it: three lines first, then the details."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

from rich.cells import cell_len

from paperless.cli.output import print_verdict, verdict_json, write_json
from paperless.cli.rate_tables import authority_table, league_table, percent, reasons_table, why_head
from paperless.cli.signposts import Signposts
from paperless.cli.terminal import USUAL_WIDTH, Terminal
from paperless.verification.checkers import Verdict
from services.scoring.rates.rates import RatesTable
from services.scoring.rates.why import WhyTable

SHOWN_REASONS = 6
# For a word and the sign that there is more.
_LEAST_ROOM = 20


class DemoResult(NamedTuple):
    """What a run came to: the verdict, the tables of the scoring API, and the figures of `timing` in the JSON."""

    verdict: Verdict
    rates: Mapping[str, RatesTable]
    why: WhyTable
    timing: Mapping[str, Any]


def show(terminal: Terminal, result: DemoResult, posts: Signposts, json: Path | None, *, kept: bool) -> None:
    """Print a demo's result and write its JSON; `kept`: the system still runs."""
    texts, rates, wide = terminal.texts, result.rates["province"], terminal.wide
    summary(terminal, result, posts, kept=kept)
    terminal.line("")
    print_verdict(terminal, result.verdict)
    took(terminal, result.timing)
    terminal.line("")
    terminal.show(league_table(texts, rates, wide=wide), "")
    terminal.show(authority_table(texts, rates, wide=wide), "")
    terminal.show(why_head(texts, result.why), reasons_table(texts, result.why.reasons[:SHOWN_REASONS], wide=wide))
    written = {name: asdict(table) for name, table in result.rates.items()}
    write_json(json, {**verdict_json(result.verdict), "rates": written, "timing": result.timing})
    if json:
        terminal.say("demo.as_json", path=json)
    if kept:
        posts.show(terminal)


def summary(terminal: Terminal, result: DemoResult, posts: Signposts, *, kept: bool) -> None:
    """Print three lines: what was seen, what it came to, what to do next."""
    verdict, why, texts = result.verdict, result.why, terminal.texts
    terminal.say(
        "summary.seen",
        submitted=verdict.submitted,
        decided=verdict.decided,
        lost=verdict.lost,
        twice=verdict.counted_twice,
        verdict=texts("verdict.ok" if verdict.ok else "verdict.not_ok"),
    )
    obstacle = texts.name(why.reasons[0]) if why.reasons else texts("summary.no_obstacle")
    rate = partial(texts, "summary.rate", d1=percent(texts, why.d1))
    room = max(USUAL_WIDTH - cell_len(rate(obstacle="")), _LEAST_ROOM)
    terminal.line(rate(obstacle=shorten(obstacle, room, placeholder=" …")))
    if not verdict.ok:
        terminal.say("summary.next_wrong", logs=posts.places.get("logs", "–"))
    else:
        terminal.say("summary.next_kept" if kept else "summary.next_stopped", command=posts.command)


def took(terminal: Terminal, timing: Mapping[str, Any]) -> None:
    """Print how long it took."""
    number = terminal.texts.number
    terminal.say(
        "demo.took",
        sent=timing["sending"]["sent"],
        seconds=number(timing["traffic_s"], 1),
        per_s=round(timing["applications_per_s"]),
        verify_s=number(timing["verify_s"], 1),
    )
