"""What a run with faults came to: the figures, and all that is needed to judge or to repeat it; pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from paperless.chaos.plan import Fault
from paperless.chaos.recovery import Occurrence, Sample, recovery_s, steady_backlog


class Recovery(NamedTuple):
    """A fault as it happened, and the seconds until it was got over; None: that never came."""

    occurrence: Occurrence
    seconds: float | None


class Timeline(NamedTuple):
    """A load with faults that is over. `steady` is the backlog of the undisturbed system."""

    plan: tuple[Fault, ...]
    applications: int
    rate: float
    samples: tuple[Sample, ...]
    recoveries: tuple[Recovery, ...]
    steady: int

    @property
    def recovered(self) -> bool:
        """Whether each fault of the plan happened and was got over."""
        return len(self.recoveries) == len(self.plan) and all(each.seconds is not None for each in self.recoveries)

    @property
    def seconds(self) -> float:
        """How long it was watched."""
        return self.samples[-1].at_s if self.samples else 0.0


def timeline_of(
    plan: Sequence[Fault], occurred: Sequence[Occurrence], samples: Sequence[Sample], *, applications: int, rate: float
) -> Timeline:
    """Return the figures of a load with faults; `rate` is that outside bursts, in applications a second."""
    first = min((fault.begins_s for fault in plan), default=0.0)
    steady = steady_backlog(samples, first, rate)
    recoveries = tuple(Recovery(each, recovery_s(each, samples, steady)) for each in sorted(occurred, key=_began))
    return Timeline(tuple(plan), applications, rate, tuple(samples), recoveries, steady)


def _began(occurrence: Occurrence) -> float:
    return occurrence.began_s


class ChaosResult(NamedTuple):
    """A run and the verdict on it.

    `counts` are those of `paperless verify`; `restarts` are by process, empty where the system is not ours; `unready`
    names the parts that were not ready in the end.
    """

    command: str
    seed: int
    fault_plan: str
    run: Timeline
    verdict_ok: bool
    counts: Mapping[str, int]
    restarts: Mapping[str, int]
    unready: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all holds: the verdict, each recovery, and every part ready."""
        return self.verdict_ok and self.run.recovered and not self.unready

    @property
    def duplicates(self) -> int:
        """Outcomes that repeated a known one and did not count."""
        return self.counts["re_delivered"]


def as_json(result: ChaosResult) -> dict[str, Any]:
    """Return everything but the verdict, for `--json`; times in seconds since the load began."""
    run = result.run
    return {
        "ok": result.ok,
        "command": result.command,
        "seed": result.seed,
        "fault_plan": result.fault_plan,
        "applications": run.applications,
        "steady_rate": round(run.rate, 2),
        "steady_backlog": run.steady,
        "restarts": dict(result.restarts),
        "unready": list(result.unready),
        "plan": [fault._asdict() for fault in run.plan],
        "recoveries": [_recovery(each) for each in run.recoveries],
        "samples": [{**sample._asdict(), "unready": list(sample.unready)} for sample in run.samples],
    }


def _recovery(recovery: Recovery) -> dict[str, Any]:
    (fault, began, ended), seconds = recovery
    return {
        "kind": fault.kind,
        "target": fault.target,
        "began_s": round(began, 2),
        "ended_s": round(ended, 2),
        "recovery_s": seconds,
    }
