"""What a reader must know before believing the figures; pure."""

from collections.abc import Iterator

from paperless.traffic.load.plan import LoadPlan
from paperless.traffic.load.result import Ceiling, Measured

# Beyond this the figures say as much of the generator as of the system.
LATE_MS = 10.0
# Above this share of what the driver can do at best, it may be the limit itself.
NEAR_CEILING = 0.5


def notes(plan: LoadPlan, measured: Measured | None, ceiling: Ceiling, *, interrupted: bool) -> tuple[str, ...]:
    """Return the sentences that belong beside the figures."""
    return (*_of_the_run(plan, interrupted=interrupted), *(_of_the_figures(measured, ceiling) if measured else ()))


def _of_the_run(plan: LoadPlan, *, interrupted: bool) -> Iterator[str]:
    if interrupted:
        yield "interrupted: the figures are of what was sent until then"
    if plan.mode == "closed":
        yield (
            "closed loop: when the system stalls, nothing is sent, so few applications see the stall (coordinated"
            " omission); its percentiles are not comparable with those of an open loop"
        )


def _of_the_figures(measured: Measured, ceiling: Ceiling) -> Iterator[str]:
    slip = measured.slip.percentiles["99"]
    if slip > LATE_MS:
        yield f"slip p99 {slip:,.1f} ms: the figures include the generator's own lateness"
    if measured.rate and measured.rate > NEAR_CEILING * min(ceiling.handed_per_s, ceiling.made_per_s):
        yield "the rate is more than half of the driver's own ceiling: the driver may be the limit"
    if measured.to_stored.unfinished:
        yield (
            f"{measured.to_stored.unfinished:,} of the measured applications were not stored when the run ended; they"
            " count with the time that they had waited"
        )
    observation = measured.observation
    gap = observation.gap
    if gap.count:
        yield (
            f"resolution: the store's position was asked every {gap.percentiles['50']:,.1f} ms (p50;"
            f" p99 {gap.percentiles['99']:,.1f}), so a stored moment is seen up to that late, never early"
        )
    if observation.failed:
        yield f"the scoring API did not answer {observation.failed:,} of {observation.polls:,} questions"
    if measured.counts.foreign:
        yield f"{measured.counts.foreign:,} outcomes were of others: somebody else files at the same time"
