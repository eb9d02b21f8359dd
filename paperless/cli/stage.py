"""What a demo plays on: a system that it starts on this machine, or one that runs already."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import typer

from paperless.cli.options import MOCK, System, fetch
from paperless.cli.system import TOPICS_HOOK
from paperless.local import detached
from paperless.local.layout import LocalOptions
from paperless.local.processes import Usage
from paperless.local.supervisor import LocalSystem
from paperless.operations.topics import ensure_topics
from paperless.traffic.manifest import Manifest, ManifestError, plan_digest, read_manifest
from paperless.traffic.survey import survey
from paperless.verification.verify import VerifyError
from runtime.settings import KafkaAccess
from services.vneid_mock.plan_files import load_plan

Tell = Callable[[str], None]


class Stage(NamedTuple):
    """A system to play on, its parts by name, how it came to be, and what its processes used (none where not ours)."""

    system: System
    parts: Sequence[str]
    opened: str
    usage: Callable[[], Mapping[str, Usage]] = dict


def local_mock(options: LocalOptions) -> dict[str, Any]:
    """Return plan and seed of a mock that is yet to be started."""
    return {"plan": load_plan(options.plan).model_dump(mode="json"), "seed": options.seed}


@asynccontextmanager
async def local_stage(options: LocalOptions, *, keep: bool, tell: Tell) -> AsyncIterator[Stage]:
    """Run the system in this process's care, or leave it running in a supervisor of its own."""
    if not keep:
        async with LocalSystem(options, create_topics=ensure_topics, tell=tell) as system:
            yield _stage_of(system)
        return
    # Blocking: in a thread, Ctrl-C would leave behind what the thread is still starting.
    running = detached.start(options, create_topics=TOPICS_HOOK)
    try:
        yield _stage_of(running)
    except (asyncio.CancelledError, typer.Exit):
        detached.stop(options.state_dir)
        raise


def _stage_of(running: LocalSystem | detached.AttachedSystem) -> Stage:
    system = System(KafkaAccess(kafka_servers=running.address), running.endpoints, idempotent_producer=False)
    return Stage(system, [one.name for one in running.processes()], "started", running.rss_and_cpu)


def running_mock(system: System, *, seed: int | None, plan: str | None) -> dict[str, Any]:
    """Return plan and seed of the running mock.

    Raises:
        VerifyError: the mock does not answer, or runs with another seed or plan than the one that is asked for.

    """
    mock: dict[str, Any] = fetch(f"{system.url(MOCK, f'--health {MOCK}=URL')}/plan")
    has = f"the running mock has seed {mock['seed']}, fault plan {mock['plan']['name']}"
    if seed is not None and seed != mock["seed"]:
        raise VerifyError(f"{has}; leave --seed out, or start the mock with VNEID_SEED={seed}")
    if plan is not None and load_plan(plan).model_dump(mode="json") != mock["plan"]:
        raise VerifyError(f"{has}; leave --plan out, or start the mock with VNEID_PLAN={plan}")
    return mock


@asynccontextmanager
async def attached_stage(
    system: System, mock: Mapping[str, Any], manifest: Path, *, tell: Tell
) -> AsyncIterator[Stage]:
    """Take a running system as it is; see `look_back` for what its log may hold."""
    target = system.target
    held = await look_back(system, mock, manifest)
    if held:
        tell(
            f"the log already holds {held:,} submissions: what is filed again counts as re-delivered, and nothing twice"
        )
    yield Stage(system, sorted(target.health_urls), "found")


async def look_back(system: System, mock: Mapping[str, Any], manifest: Path) -> int:
    """Return how many submissions the log holds.

    One log can be verified against one seed and one fault plan, because an oracle cannot see which submission a mock
    answered with which; so a second run must go on with those of the first.

    Raises:
        ManifestError: the log holds a run with another seed or fault plan.
        LogError: the log cannot be read.

    """
    log = await survey(system.broker, end_offsets_reliable=system.idempotent_producer)
    held = sum(log.start_offsets.values())
    before = _earlier(manifest)
    if not held or before is None or mock.get("changed_by_hand"):
        return held
    same = (before.seed, before.plan_digest) == (mock["seed"], plan_digest(mock["plan"]))
    if before.log_identity == log.identity and not same:
        raise ManifestError(
            f"the log holds {held:,} submissions that were answered with seed {before.seed}, fault plan"
            f" {before.plan_name}; the mock now has seed {mock['seed']}, fault plan {mock['plan']['name']}, and one log"
            " can be verified against one of them only: go back to the first, or start with an empty log"
        )
    return held


def _earlier(manifest: Path) -> Manifest | None:
    return read_manifest(manifest) if manifest.exists() else None
