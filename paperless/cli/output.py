"""What several commands write with: a plain console, JSON files; and the verdict, which two of them show."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from paperless.cli.terminal import Terminal
from paperless.language import Texts, texts
from paperless.traffic.manifest import ManifestError
from paperless.verification.checkers import Verdict

WIDE = 140
_LABEL_WIDTH = 17


def make_console(*, stderr: bool = False) -> Console:
    """Return a console without a language; where no terminal gives a width, tables get the one they need."""
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


def print_verdict(terminal: Terminal, verdict: Verdict) -> None:
    """Print the verdict and, where it is not ok, exactly what differs, as the checkers say it."""
    told_in = terminal.texts
    style = "bold green" if verdict.ok else "bold red"
    terminal.say("verdict.ok" if verdict.ok else "verdict.not_ok", style=style)
    for name, value in verdict_json(verdict)["counts"].items():
        terminal.line(f"  {told_in(f'verdict.{name}'):<{_LABEL_WIDTH}} {told_in.number(value):>9}")
    terminal.line(f"  {agreement(told_in, verdict)}")
    for what, count in verdict.settled.items():
        terminal.line(f"  {told_in('verdict.settled'):<{_LABEL_WIDTH}} {told_in.number(count):>9}  {what}")
    for reason, count in verdict.dead_letters.items():
        terminal.line(f"  {told_in('verdict.dead_letters'):<{_LABEL_WIDTH}} {told_in.number(count):>9}  {reason}")
    for letter in verdict.open_dead_letters:
        terminal.line(f"    {letter}")
    unnamed = sum(verdict.dead_letters.values()) - len(verdict.open_dead_letters)
    if unnamed > 0:
        terminal.line(f"    {told_in('verdict.more_dead_letters', count=unnamed)}")
    for difference in verdict.differences:
        terminal.line(f"  - {difference}")


def agreement(told_in: Texts, verdict: Verdict) -> str:
    """Return how live store, recount and oracle compare, as one line."""
    live = "=" if verdict.live_equals_recount else "≠"
    if verdict.recount_equals_oracle is None:
        return told_in("verdict.no_oracle", live=live)
    return told_in("verdict.agree", live=live, oracle="=" if verdict.recount_equals_oracle else "≠")


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
            "moved": verdict.moved,
            "replayed": verdict.replayed,
            "dropped": verdict.dropped,
            "re_delivered": verdict.re_delivered,
            "presumed": verdict.presumed,
            "overruled": verdict.overruled,
            "conflicts": verdict.conflicts,
            "corrections": verdict.corrections.requested,
            "corrections_lost": len(verdict.corrections.lost),
            "corrections_wrong": len({*verdict.corrections.unfounded, *verdict.corrections.wrong}),
        },
        "readings": agreement(texts("en"), verdict),
        "dead_letters": dict(verdict.dead_letters),
        "open_dead_letters": [
            {
                "position": letter.position,
                "reason": letter.reason,
                "application_id": letter.application,
                "state": letter.state,
            }
            for letter in verdict.open_dead_letters
        ],
        "settled": dict(verdict.settled),
        "differences": list(verdict.differences),
    }
