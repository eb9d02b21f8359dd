"""Does a run's log fit into memory? The embedded broker keeps every record there."""

from pathlib import Path

import psutil

from paperless.local.broker_kinds import BrokerKind, embedded_kind
from paperless.local.errors import NotEnoughMemoryError

# Four services and the driver at about 120 MB each: an estimate, half of what each of them may take at most.
BYTES_FOR_PROCESSES = 600_000_000
CGROUP = Path("/sys/fs/cgroup")


def memory_needed(applications: int, kind: BrokerKind) -> int:
    """Bytes that the broker's log and the processes of a run of so many applications need."""
    return applications * kind.bytes_per_application + BYTES_FOR_PROCESSES


def memory_available(cgroup: Path = CGROUP) -> int:
    """Bytes free for use: the machine's, or what is left of this container's limit if that is less."""
    machine: int = psutil.virtual_memory().available
    try:
        limit, used = int((cgroup / "memory.max").read_text()), int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):  # no cgroup v2, or its limit is the word "max"
        return machine
    return min(machine, max(limit - used, 0))


def check_memory(applications: int, available: int | None = None, kind: BrokerKind | None = None) -> None:
    """Raises `NotEnoughMemoryError` with the numbers when a run of so many applications would not fit."""
    kind = kind or embedded_kind()
    free = memory_available() if available is None else available
    needed = memory_needed(applications, kind)
    if needed <= free:
        return
    fits = max(free - BYTES_FOR_PROCESSES, 0) // kind.bytes_per_application
    advice = f"play at most {fits:,} applications" if fits else "free some memory"
    raise NotEnoughMemoryError(
        f"{applications:,} applications need about {needed / 1e9:.1f} GB in the embedded broker and the services,"
        f" {free / 1e9:.1f} GB are free; {advice}, or start Apache Kafka and the services yourself"
        " (docs/settings.md) and use --kafka"
    )
