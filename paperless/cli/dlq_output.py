"""What a person reads of dead letters: tables and lines of at most 80 columns, as far as ids and positions let them."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from paperless.cli.output import make_console
from paperless.dead_letters.decisions import Decision
from paperless.dead_letters.desk import Settling
from paperless.dead_letters.documents import difference, place_of, pretty, printable
from paperless.dead_letters.letters import Summary, counts, summary
from paperless.verification.log_reader import state_of
from paperless.verification.positions import OPEN
from runtime.dead_letters import DeadLetter
from runtime.settlements import Settlement

# Of what was settled: the first ones by name.
MAX_NAMED = 20
# How long a detail may be in a list.
_LINE = 76
_STATES = {"open": "", "begun": ", begun, not finished: paperless dlq replay"}
_ACTIONS = {"repair": "repaired", "replay": "replayed", "drop": "dropped"}


def print_letters(chosen: Sequence[Summary], shown: Sequence[Summary], strangers: Sequence[str], limit: int) -> None:
    """Print how many letters there are by topic and reason, and the first of those that are shown."""
    console = make_console()
    if not chosen:
        console.print("no dead letters")
    else:
        table = Table("topic", "reason")
        table.add_column("open", justify="right")
        table.add_column("settled", justify="right")
        for (topic, reason), states in counts(chosen).items():
            still_open = sum(states[state] for state in OPEN)
            table.add_row(topic, reason, f"{still_open:,}", f"{states.total() - still_open:,}")
        console.print(table)
    for letter in shown[:limit]:
        _print_summary(console, letter)
    if len(shown) > limit:
        console.print(f"and {len(shown) - limit:,} more; --limit shows them, or --topic, --reason, --since fewer")
    for line in strangers[:MAX_NAMED]:
        _line(console, f"not ours: {line}")
    if any(letter.is_open for letter in shown):
        console.print("next: paperless dlq show POSITION; what to do by reason: docs/operations.md")


def _print_summary(console: Console, letter: Summary) -> None:
    _line(console, f"{letter.position}  {letter.reason}  {_time(letter.refused_at_ms)}")
    attempt = f"refused again after {letter.attempt} attempts" if letter.attempt else ""
    settled = f"{letter.state}, now {letter.written_to}" if letter.written_to else letter.state
    state = _STATES.get(letter.state, settled).removeprefix(", ")
    about = [*(f"application {name}" for name in letter.applications), attempt, state]
    if any(about):
        _line(console, f"    {', '.join(filter(None, about))}")
    detail = printable(letter.detail)
    _line(console, f"    {detail if len(detail) <= _LINE else detail[: _LINE - 1] + '…'}")


def print_letter(letter: DeadLetter, settlement: Settlement | None) -> None:
    """Print all that a dead letter holds."""
    console = make_console()
    short = summary(letter)
    _line(console, f"{letter.position}  {letter.reason}", style="bold")
    rows = {
        "detail": printable(letter.detail),
        "application": ", ".join(short.applications) or "named nowhere",
        "refused": _time(letter.refused_at_ms),
        "sent": _time(letter.sent_at_ms),
        "attempts": str(short.attempt) if short.attempt else "",
        "state": _state_text(settlement),
        "key": "left out, too large" if letter.key_left_out else _bytes_text(letter.key),
    }
    for name, text in rows.items():
        if text:
            _line(console, f"  {name:<12} {text}")
    for name, value in letter.headers:
        _line(console, f"  {'header':<12} {printable(name)}: {_bytes_text(value)}")
    for number, line in enumerate(place_of(letter.detail, letter.value)):
        _line(console, f"  {'place' if number == 0 else '':<12} {line}")
    _line(console, f"  value        {_size_text(letter)}")
    if not letter.value_left_out:
        for line in pretty(letter.value):
            _line(console, f"    {line}")


def _state_text(settlement: Settlement | None) -> str:
    state = state_of(settlement)
    if settlement is None or state == "open":
        return "open"
    if settlement.action == "drop":
        return f"dropped {_time(settlement.begun_at_ms)}: {printable(settlement.why)}"
    to = f", written back to {settlement.written_to}" if settlement.written_to else _STATES["begun"]
    return f"{state} {_time(settlement.begun_at_ms)}, attempt {settlement.attempt}{to}"


def _size_text(letter: DeadLetter) -> str:
    if letter.value_left_out:
        left_out = letter.value_left_out
        return f"{left_out.size:,} bytes, left out; blake2b {left_out.digest}; it lies at {letter.position}"
    if letter.reason == "unreadable":
        return f"unknown: no client can unpack the record; its bytes lie at {letter.position}"
    return f"{len(letter.value or b''):,} bytes"


def letter_json(letter: DeadLetter, settlement: Settlement | None) -> dict[str, Any]:
    """Return all of a letter for JSON; bytes that are no UTF-8 as `{"base64": …}`."""
    return {
        **summary(letter).to_json(),
        "state": state_of(settlement),
        "written_to": settlement.written_to if settlement else None,
        "why": settlement.why if settlement else "",
        "sent_at_ms": letter.sent_at_ms,
        "key": _bytes_json(letter.key),
        "headers": [[name, _bytes_json(value)] for name, value in letter.headers],
        "value": _bytes_json(letter.value),
        "value_left_out": letter.value_left_out._asdict() if letter.value_left_out else None,
        "key_left_out": letter.key_left_out,
    }


def print_decision(decision: Decision) -> None:
    """Print what is to be written back, where it is not the record as it was."""
    letter, settlement, partition = decision
    if settlement.action != "repair":
        return
    console = make_console()
    key = f"under its key {_bytes_text(settlement.key)}, partition {partition}"
    lines = difference(letter.value, settlement.value or b"")
    _line(console, f"{letter.position}, {letter.reason}: {key}")
    for line in lines or ["  the value as it was"]:
        _line(console, f"  {line}", style={"-": "red", "+": "green"}.get(line[:1], ""))


def print_settlings(
    decisions: Sequence[Decision], settlings: Sequence[Settling], left: Sequence[str], *, dry_run: bool
) -> None:
    """Print what was written where, or would be, and what was left and why."""
    console = make_console()
    done = [each for each in settlings if not each.refused]
    actions = {each.letter.position: _ACTIONS[each.settlement.action] for each in decisions}
    for settling in done[:MAX_NAMED]:
        to = f", written back to {settling.written_to}" if settling.written_to else ""
        _line(console, f"{actions[settling.position]} {settling.position}{to}")
    if dry_run:
        for decision in decisions[:MAX_NAMED]:
            _line(console, f"would be {_ACTIONS[decision.settlement.action]}: {decision.letter.position}")
    for line in [*(each.refused or "" for each in settlings if each.refused), *left][:MAX_NAMED]:
        _line(console, f"left: {line}")
    count = len(decisions) if dry_run else len(done)
    console.print(
        f"{count:,} {'would be settled' if dry_run else 'settled'}, {len(settlings) - len(done) + len(left):,} left"
    )


def _time(at_ms: int) -> str:
    """Return a moment in UTC; nobody's clock has one that cannot be written."""
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"


def _bytes_text(value: bytes | None) -> str:
    if value is None:
        return "none"
    try:
        return printable(value.decode())[:200]
    except UnicodeDecodeError:
        return f"hex {value[:64].hex(' ')}{' …' if len(value) > 64 else ''}"


def _bytes_json(value: bytes | None) -> str | dict[str, str] | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(text, style=style or None, markup=False, soft_wrap=True)
