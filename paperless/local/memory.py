"""Does a run's log fit into memory? The embedded broker keeps every record there."""

from pathlib import Path

import psutil

from paperless.local.broker_kinds import BrokerKind, embedded_kind
from paperless.local.errors import NotEnoughMemoryError

# An estimate, half of what a service may take at most. Of a system that is to start: four services and the driver.
BYTES_PER_PROCESS = 120_000_000
BYTES_FOR_PROCESSES = 5 * BYTES_PER_PROCESS
CGROUP = Path("/sys/fs/cgroup")


def bytes_for_processes(resident: int) -> int:
    """Return the bytes that the processes of a run still need where the services have taken `resident` bytes already.

    The driver comes to a running system, however much its services have taken.
    """
    return max(BYTES_FOR_PROCESSES - resident, BYTES_PER_PROCESS)


def refusal(applications: int, *, free: int, per_application: int, for_processes: int = BYTES_FOR_PROCESSES) -> str:
    """Return why a run does not fit into memory, with the numbers and what to do instead; empty text where it does.

    Args:
        applications: how many are about to be filed; what the log holds already is not free any more.
        free: bytes of memory, without swap: a broker whose log is swapped out answers nobody in time.
        per_application: bytes that the log takes for each of them.
        for_processes: bytes that the processes need besides.

    """
    needed = applications * per_application + for_processes
    if needed <= free:
        return ""
    fits = max(free - for_processes, 0) // per_application
    advice = f"play at most {fits:,} applications" if fits else "free some memory"
    return (
        f"{applications:,} applications need about {needed / 1e9:.1f} GB in the embedded broker and the services,"
        f" {free / 1e9:.1f} GB are free; {advice}, or use Apache Kafka, for example with docker compose"
        " (docs/operations.md), and --kafka"
    )


def memory_available(cgroup: Path = CGROUP) -> int:
    """Bytes free for use: the machine's, or what is left of this container's limit if that is less."""
    machine: int = psutil.virtual_memory().available
    try:
        limit, used = int((cgroup / "memory.max").read_text()), int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):  # no cgroup v2, or its limit is the word "max"
        return machine
    return min(machine, max(limit - used, 0))


def check_memory(applications: int, kind: BrokerKind | None = None, *, resident: int = 0) -> None:
    """Refuse a run that would not fit into the memory that is free now; call it before the first record is filed.

    Args:
        applications: how many are about to be filed.
        kind: of the broker; by default the one that would be started.
        resident: bytes that the services have taken already.

    Raises:
        NotEnoughMemoryError: it would not fit; says the numbers.

    """
    why = refusal(
        applications,
        free=memory_available(),
        per_application=(kind or embedded_kind()).bytes_per_application,
        for_processes=bytes_for_processes(resident),
    )
    if why:
        raise NotEnoughMemoryError(why)
