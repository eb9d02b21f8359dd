"""`paperless verify`: nothing lost, nothing counted twice, nothing wrong — or exactly what."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from paperless.cli.narration import Narration
from paperless.cli.options import (
    DEFAULT_STATE,
    MOCK,
    Api,
    Health,
    Json,
    Kafka,
    Lang,
    State,
    System,
    Within,
    find_system,
)
from paperless.cli.output import clear_json, print_verdict, verdict_json, write_json
from paperless.cli.phases import Running, Verifying
from paperless.cli.send import MANIFEST, running_mock
from paperless.cli.terminal import open_terminal
from paperless.language import Message
from paperless.traffic.manifest import Manifest, read_manifest
from paperless.traffic.survey import survey
from paperless.verification.checkers import Verdict
from paperless.verification.quiescence import STANDSTILL_S
from paperless.verification.verify import RunParameters
from paperless.verification.verify import verify as run_verification


def verify(
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    api: Api = None,
    health: Health = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest",
            help="Manifest of the run; by default the one beside the system's state, else what the mock says.",
        ),
    ] = None,
    within: Within = STANDSTILL_S,
    json: Json = None,
    lang: Lang = None,
) -> None:
    """Wait until nothing moves, then compare the live cells, a recount of the log and the oracle.

    It waits as long as something gets on. Exits 0 only when nothing was lost, counted twice or wrong; else it says
    exactly what differs and exits 1.

    Example: `paperless verify --json build/verdict.json`
    """
    clear_json(json)
    system = find_system(state, kafka, api, health)
    described = _described(system, manifest, state / MANIFEST)
    terminal = open_terminal(lang)
    with Narration(terminal) as narration:
        verdict = asyncio.run(check(system, described, within, narration))
    print_verdict(terminal, verdict)
    write_json(json, verdict_json(verdict))
    if not verdict.ok:
        raise typer.Exit(1)


class LoggedRun(NamedTuple):
    """What a log is verified against, as a manifest has it, for a log that no run of this command has written to."""

    partitions: int
    plan: Mapping[str, Any]
    seed: int
    log_identity: str | None


def _described(system: System, named: Path | None, usual: Path) -> Manifest | LoggedRun:
    if named is not None or usual.exists() or MOCK not in system.endpoints:
        return read_manifest(named or usual)
    # Applications came through the portal, or from other people's clients: the mock says by what they were answered.
    mock, log = running_mock(system), asyncio.run(survey(system.broker))
    return LoggedRun(log.partitions, mock["plan"], mock["seed"], log.identity)


async def check(system: System, manifest: Manifest | LoggedRun, within_s: float, narration: Narration) -> Verdict:
    """Return the verdict on a system whose run the manifest describes."""
    waiting, verifying = Running("phase.waiting", {}, within_s=within_s), Verifying(system.health_urls)
    narration.enter(waiting)

    def step(last: Message) -> None:
        narration.enter(verifying)
        verifying.note(last)

    return await run_verification(
        system.target,
        partitions=manifest.partitions,
        parameters=RunParameters(plan=manifest.plan, seed=manifest.seed),
        log_identity=manifest.log_identity,
        within_s=within_s,
        waiting=waiting.see,
        progress=step,
    )
