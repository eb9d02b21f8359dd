"""`paperless dlq`: dead letters listed, looked at, repaired, replayed, dropped."""

import asyncio
import json as json_module
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from paperless.cli.dlq_output import letter_json, print_decision, print_letter, print_letters, print_settlings
from paperless.cli.lazy import STYLE
from paperless.cli.options import DEFAULT_STATE, Kafka, State, find_system
from paperless.cli.output import make_console
from paperless.dead_letters.decisions import Decision, drop, repair, repaired_values, replay
from paperless.dead_letters.desk import Desk, Letters, Settling, open_desk
from paperless.dead_letters.documents import document_of, written
from paperless.dead_letters.errors import DeadLetterError
from paperless.dead_letters.letters import SOURCES, Selection, checked_position, is_application_id
from runtime.dead_letters import DeadLetter
from runtime.settings import KafkaAccess
from runtime.settlements import Settled

UNITS = {"m": "minutes", "h": "hours", "d": "days"}

app = typer.Typer(
    help="Dead letters: refused records listed, looked at, repaired, replayed, dropped.", no_args_is_help=True, **STYLE
)

Topic = Annotated[str | None, typer.Option(help="Only records refused on this topic.")]
Reason = Annotated[str | None, typer.Option(help="Only those refused for this reason.")]
Position = Annotated[str, typer.Argument(metavar="POSITION", help="TOPIC/PARTITION/OFFSET of the refused record.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]


@app.command("list")
def list_(
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    topic: Topic = None,
    reason: Reason = None,
    application: Annotated[str | None, typer.Option(help="Only those of this application's id.")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only those refused since then: 30m, 2h, 3d, or a time like 2025-11-03T14:00 (UTC)."),
    ] = None,
    settled: Annotated[bool, typer.Option("--settled", help="Also those that are settled.")] = False,
    limit: Annotated[int, typer.Option(help="How many are shown in full.", min=0, max=100_000)] = 20,
    json: AsJson = False,
) -> None:
    """List dead letters: how many by topic and reason, then each with what is wrong.

    Example: `paperless dlq list --reason unknown_province --since 2h`
    """
    selection = _selection(topic, reason, application, since)
    letters = asyncio.run(_letters(_broker(state, kafka)))
    chosen = [each for each in letters.summaries if each in selection]
    shown = [each for each in chosen if settled or each.is_open]
    if json:
        _echo({"dead_letters": [each.to_json() for each in shown], "no_dead_letters": letters.strangers})
    else:
        print_letters(chosen, shown, letters.strangers, limit)


@app.command()
def show(
    what: Annotated[
        str, typer.Argument(metavar="POSITION|ID", help="Position of the refused record, or application id.")
    ],
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    json: AsJson = False,
) -> None:
    """Show all that dead letters hold: reason, place, headers, value. They are as personal as what was sent.

    Example: `paperless dlq show applications.submitted/3/41`
    """
    letters = asyncio.run(_whole(_broker(state, kafka), what))
    if json:
        _echo({"dead_letters": [letter_json(letter, settlement) for letter, settlement in letters]})
        return
    for letter, settlement in letters:
        print_letter(letter, settlement)


@app.command("repair")
def repair_(
    position: Position,
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    file: Annotated[
        Path | None, typer.Option(help="The whole value, corrected, as JSON; - reads it from here.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change one place of the value; repeatable.")
    ] = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Correct a refused record and send it again. Nothing is written that its consumer would refuse.

    It goes to its application's key and partition, whatever they were; without `--file` and `--set` only that changes.

    Example: `paperless dlq repair applications.submitted/3/41 --set province=79 --dry-run`
    """
    if file and changes:
        raise typer.BadParameter("--file has the whole value and --set changes the refused one: pass one of them")
    values = [_value_of(file)] if file else None

    def decide(settled: Settled[DeadLetter], partitions: int) -> Decision:
        letter = settled.letter
        return repair(letter, settled.settlement, values or repaired_values(letter, changes or []), partitions)

    _settle_named(_broker(state, kafka), [position], decide, dry_run=dry_run, json=json)


@app.command("replay")
def replay_(
    positions: Annotated[list[str] | None, typer.Argument(metavar="POSITION…", help="Of the refused records.")] = None,
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    topic: Topic = None,
    reason: Reason = None,
    every: Annotated[bool, typer.Option("--all", help="All open ones that can be replayed.")] = False,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Send refused records again as they were, once their cause is mended: in the code, the store or the facts.

    Also finishes what an interrupted `repair` or `replay` has begun.

    Example: `paperless dlq replay --reason handler_error --dry-run`
    """
    if bool(positions) == (every or bool(topic or reason)):
        raise typer.BadParameter("name positions, or say which are meant by --reason, --topic or --all")
    if positions:
        _settle_named(_broker(state, kafka), positions, _replayed, dry_run=dry_run, json=json)
    else:
        selection = _selection(topic, reason, None, None)
        asyncio.run(_replay_all(_broker(state, kafka), selection, dry_run=dry_run, json=json))


@app.command("drop")
def drop_(
    position: Position,
    why: Annotated[str, typer.Option(help="Who left it out and why, for those who come after; no personal data.")],
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Leave a refused record out for good; its dead letter stays in the log.

    Example: `paperless dlq drop applications.submitted/3/41 --why "test of the portal, asked by T."`
    """

    def decide(settled: Settled[DeadLetter], _: int) -> Decision:
        return drop(settled.letter, settled.settlement, why)

    _settle_named(_broker(state, kafka), [position], decide, dry_run=dry_run, json=json)


Decide = Callable[[Settled[DeadLetter], int], Decision]


def _replayed(settled: Settled[DeadLetter], partitions: int) -> Decision:
    return replay(settled.letter, settled.settlement, partitions)


def _settle_named(access: KafkaAccess, positions: Sequence[str], decide: Decide, *, dry_run: bool, json: bool) -> None:
    """Settle letters by their positions: all of them, or none."""
    wanted = list(dict.fromkeys(map(checked_position, positions)))
    asyncio.run(_settle(access, wanted, decide, dry_run=dry_run, json=json))


async def _settle(access: KafkaAccess, positions: list[str], decide: Decide, *, dry_run: bool, json: bool) -> None:
    async with open_desk(access) as desk:
        decisions = [decide(settled, desk.partitions) for settled in await desk.whole(positions)]
        if not json:
            for decision in decisions:
                print_decision(decision)
        settlings = [] if dry_run else await _carry_out(desk, decisions)
    _report(decisions, settlings, [], dry_run=dry_run, json=json)
    refused = [each.refused for each in settlings if each.refused]
    if refused:
        raise DeadLetterError("; ".join(refused))


async def _replay_all(access: KafkaAccess, selection: Selection, *, dry_run: bool, json: bool) -> None:
    """Replay what can be, and say of the rest why not."""
    decisions, left = [], []
    async with open_desk(access) as desk:
        chosen = [each for each in (await desk.letters()).summaries if each in selection and each.is_open]
        for settled in await desk.whole([each.position for each in chosen]):
            try:
                decisions.append(_replayed(settled, desk.partitions))
            except DeadLetterError as error:
                left.append(str(error))
        settlings = [] if dry_run else await _carry_out(desk, decisions)
    _report(decisions, settlings, left, dry_run=dry_run, json=json)


async def _carry_out(desk: Desk, decisions: Sequence[Decision]) -> list[Settling]:
    console = make_console(stderr=True)
    settlings: list[Settling] = []
    async for some in desk.settle(decisions):
        settlings += some
        if len(decisions) > len(some):
            console.print(f"settled {len(settlings):,} of {len(decisions):,}")
    return settlings


def _report(
    decisions: Sequence[Decision], settlings: Sequence[Settling], left: Sequence[str], *, dry_run: bool, json: bool
) -> None:
    if json:
        _echo(
            {
                "dry_run": dry_run,
                "decided": [{"position": each.letter.position, "action": each.settlement.action} for each in decisions],
                "settled": [each._asdict() for each in settlings],
                "left": list(left),
            }
        )
    else:
        print_settlings(decisions, settlings, left, dry_run=dry_run)


async def _letters(access: KafkaAccess) -> Letters:
    async with open_desk(access) as desk:
        return await desk.letters()


async def _whole(access: KafkaAccess, what: str) -> list[Settled[DeadLetter]]:
    async with open_desk(access) as desk:
        if not is_application_id(what):
            return await desk.whole([checked_position(what)])
        selection = Selection(application=what)
        positions = [each.position for each in (await desk.letters()).summaries if each in selection]
        if not positions:
            raise DeadLetterError(f"application {what}: no dead letter names it; look at /applications/{what}")
        return await desk.whole(positions)


def _broker(state: Path, kafka: str | None) -> KafkaAccess:
    return find_system(state, kafka, None, None).broker


def _selection(topic: str | None, reason: str | None, application: str | None, since: str | None) -> Selection:
    if topic is not None and topic not in SOURCES:
        raise typer.BadParameter(
            f"--topic {topic}: nobody refuses its records; write one of {', '.join(sorted(SOURCES))}"
        )
    if application is not None and not is_application_id(application):
        raise typer.BadParameter(f"--application {application!r}: no application id")
    since_ms = None if since is None else _moment(since, datetime.now(UTC))
    return Selection(topic=topic, reason=reason, application=application, since_ms=since_ms)


def _moment(text: str, now: datetime) -> int:
    """Return epoch milliseconds of a time, or of so long ago."""
    ago = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    try:
        at = now - timedelta(**{UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"--since {text!r}: write 30m, 2h, 3d, or a time like 2025-11-03T14:00") from None


def _value_of(file: Path) -> bytes:
    """Return the document of a file as a value.

    Raises:
        DeadLetterError: the file cannot be read, or is no JSON.

    """
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return written(document_of(text))
    except OSError as error:
        raise DeadLetterError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DeadLetterError(f"{file}: no JSON ({error}); nothing was written") from error


def _echo(value: Any) -> None:
    typer.echo(json_module.dumps(value, ensure_ascii=False, indent=2).encode())
