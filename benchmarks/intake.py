"""Intake with its real work: through the kernel, and as a FastStream service that takes one message at a time.

Two logs, each on a broker of its own: submissions in and requests out, then replies in and outcomes out. So neither
waits for a VNeID, and both take every record once. A reply finds no open application there and is decided from its
context, the dearer of the two ways. An application costs one submission and its share of replies.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.log import create_topics, embedded_broker, write
from benchmarks.peers.job import Job, Measurement
from benchmarks.rounds import turns
from benchmarks.variants import Variant, run
from benchmarks.workload import PARTITIONS, by_partition, replies, submissions
from contracts.topics import ALL
from runtime.messages import Message

APPLICATIONS = 60_000
KERNEL, NAIVE = "intake_kernel", "intake_naive"
VARIANTS = {KERNEL: Variant(KERNEL), NAIVE: Variant(NAIVE, share=0.02)}

Tell = Callable[[str], None]


class Intake(NamedTuple):
    """One variant's round: both hops, per application."""

    per_s: float
    cpu_us: float

    @staticmethod
    def of(requests: Measurement, outcomes: Measurement, replies_per_application: float) -> "Intake":
        """Return what an application costs: one submission, and as many replies as come to one."""
        seconds = 1 / requests.per_s + replies_per_application / outcomes.per_s
        return Intake(1 / seconds, requests.cpu_us + replies_per_application * outcomes.cpu_us)


async def measure(
    names: Sequence[str] = (KERNEL, NAIVE), *, applications: int, rounds: int, tell: Tell = print
) -> Mapping[str, list[Intake]]:
    """Run the variants in turn and return each one's rounds; raises `VariantError`."""
    submitted, replied = submissions(applications), replies(applications)
    costs: defaultdict[str, list[Intake]] = defaultdict(list)
    for turn, order in turns(names, rounds):
        requests = await _hop(order, submitted)
        outcomes = await _hop(order, replied)
        for name in order:
            cost = Intake.of(requests[name], outcomes[name], len(replied) / len(submitted))
            costs[name].append(cost)
            tell(f"round {turn + 1}, {name}: {cost.per_s:,.0f} applications/s, {cost.cpu_us:.1f} µs CPU")
    return costs


async def _hop(names: Sequence[str], log: Sequence[Message]) -> dict[str, Measurement]:
    """Let every variant take the same log."""
    async with embedded_broker() as servers:
        await create_topics(servers, [topic.name for topic in ALL])
        await write(servers, by_partition(log))
        return {
            name: await run(
                VARIANTS[name],
                Job(
                    servers=servers,
                    source=log[0][0],
                    target="",
                    group=name,
                    records=VARIANTS[name].records(len(log)),
                    partitions=PARTITIONS,
                ),
            )
            for name in names
        }
