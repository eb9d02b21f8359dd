"""What a reader must know before believing the figures; pure."""

from collections.abc import Iterator

from paperless.language import Message, message
from paperless.traffic.load.plan import Mode
from paperless.traffic.load.result import Ceiling, LoadResult, Measured

# Beyond this the figures say as much of the generator as of the system.
LATE_MS = 10.0
# Above this share of what the driver can do at best, it may be the limit itself.
NEAR_CEILING = 0.5


def notes(mode: Mode, measured: Measured | None, ceiling: Ceiling, *, interrupted: bool) -> tuple[Message, ...]:
    """Return the messages that belong beside the figures."""
    return (*_of_the_run(mode, interrupted=interrupted), *(_of_the_figures(measured, ceiling) if measured else ()))


def notes_of(result: LoadResult) -> tuple[Message, ...]:
    """Return the notes of a result that is read again."""
    return notes(result.mode, result.measured, result.ceiling, interrupted=result.interrupted)


def _of_the_run(mode: Mode, *, interrupted: bool) -> Iterator[Message]:
    if interrupted:
        yield message("note.interrupted")
    if mode == "closed":
        yield message("note.closed")


def _of_the_figures(measured: Measured, ceiling: Ceiling) -> Iterator[Message]:
    slip = measured.slip.percentiles["99"]
    if slip > LATE_MS:
        yield message("note.slip", p99=slip)
    if measured.rate and measured.rate > NEAR_CEILING * min(ceiling.handed_per_s, ceiling.made_per_s):
        yield message("note.ceiling")
    if measured.to_stored.unfinished:
        yield message("note.unfinished", count=measured.to_stored.unfinished)
    observation = measured.observation
    gap = observation.gap
    if gap.count:
        yield message("note.resolution", p50=gap.percentiles["50"], p99=gap.percentiles["99"])
    if observation.failed:
        yield message("note.failed", failed=observation.failed)
    if measured.counts.foreign:
        yield message("note.foreign", count=measured.counts.foreign)
