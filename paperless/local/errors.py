"""What can go wrong when the system runs on this machine; every message says what to do next."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LocalSystemError(RuntimeError):
    """The base of all of these: a command shows its text and exits non-zero."""


class AlreadyRunningError(LocalSystemError):
    """Another supervisor holds the state directory."""


class NotRunningError(LocalSystemError):
    """No supervisor holds the state directory."""


class PortTakenError(LocalSystemError):
    """A port that was asked for explicitly is in use."""


class StateDirectoryError(LocalSystemError):
    """The state directory cannot be created or written."""


class NotOursError(LocalSystemError):
    """The system belongs to another user, who alone can stop it."""


class DiskFullError(LocalSystemError):
    """No room is left for state, logs or the store."""


class NotEnoughMemoryError(LocalSystemError):
    """The embedded broker keeps its log in memory, and this run's log would not fit."""


class UnsupportedPlatformError(LocalSystemError):
    """No binary of the embedded broker exists for this platform."""


class BrokerBinaryError(LocalSystemError):
    """The binary of the embedded broker is there, but the place from which it is run cannot be written."""


class BrokerError(LocalSystemError):
    """The broker did not start, or died; its memory was the log, so the run is over."""


class ServiceFailedError(LocalSystemError):
    """A service refused to go on (exit code 78), or keeps dying while it starts."""


class NotReadyError(LocalSystemError):
    """A service did not report itself ready in time."""


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn a failed write below `place` into a `DiskFullError` or a `StateDirectoryError`."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise DiskFullError(
                f"the disk under {place} is full ({error.strerror}); make room or choose another place with --state"
            ) from error
        raise StateDirectoryError(
            f"{place} cannot be used as the state directory: {error.strerror or error}; choose another with --state"
        ) from error
