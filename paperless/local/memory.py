"""Does a run's log fit into memory? The embedded broker keeps every record there."""

from pathlib import Path

import psutil

from paperless.local.errors import NotEnoughMemoryError

# Measured: the broker keeps records at about their own size (1 M of 640 bytes: 650 MB), and an application's records
# over the four topics come to some 3 KB.
BYTES_PER_APPLICATION = 3_000
# Four services and the driver at about 120 MB each: an estimate, half of what each of them may take at most.
BYTES_FOR_PROCESSES = 600_000_000
CGROUP = Path("/sys/fs/cgroup")


def memory_needed(applications: int) -> int:
    """Bytes that the broker's log and the processes of a run of so many applications need."""
    return applications * BYTES_PER_APPLICATION + BYTES_FOR_PROCESSES


def memory_available(cgroup: Path = CGROUP) -> int:
    """Bytes free for use: the machine's, or what is left of this container's limit if that is less."""
    machine: int = psutil.virtual_memory().available
    try:
        limit, used = int((cgroup / "memory.max").read_text()), int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):  # no cgroup v2, or its limit is the word "max"
        return machine
    return min(machine, max(limit - used, 0))


def check_memory(applications: int, available: int | None = None) -> None:
    """Raises `NotEnoughMemoryError` with the numbers when a run of so many applications would not fit."""
    free = memory_available() if available is None else available
    needed = memory_needed(applications)
    if needed <= free:
        return
    fits = max(free - BYTES_FOR_PROCESSES, 0) // BYTES_PER_APPLICATION
    advice = f"play at most {fits:,} applications" if fits else "free some memory"
    raise NotEnoughMemoryError(
        f"{applications:,} applications need about {needed / 1e9:.1f} GB in the embedded broker and the services,"
        f" {free / 1e9:.1f} GB are free; {advice}, or start Apache Kafka and the services yourself"
        " (docs/settings.md) and use --kafka"
    )
