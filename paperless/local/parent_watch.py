"""Start a command that does not outlive the process that asked for it, however that one ends.

Run as a script: `python -I -S parent_watch.py PARENT_PID COMMAND...`. It becomes the command (same pid), so nothing
stands between supervisor and service. The standard library only: it runs before any environment is set up.
"""

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
POLL_S = 0.5
EXIT_NOT_FOUND = 127


def die_with(parent: int) -> None:
    """Ask for SIGKILL when `parent` dies: the kernel does it on Linux, a small watcher process elsewhere."""
    if sys.platform == "linux" and "PARENT_WATCH_POLL" not in os.environ:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        _fork_watcher(parent)
    # The parent may have died before the request was in place.
    if os.getppid() != parent:
        sys.exit(f"parent_watch: process {parent} has gone already")


def _fork_watcher(parent: int) -> None:
    command = os.getpid()
    if os.fork() != 0:
        return
    while os.getppid() == command:
        if not _exists(parent):
            os.kill(command, signal.SIGKILL)
            break
        time.sleep(POLL_S)
    os._exit(0)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    die_with(int(sys.argv[1]))
    command = sys.argv[2:]
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the command is the point; no shell is wanted
    except OSError as error:
        sys.stderr.write(f"parent_watch: {command[0]} cannot be started: {error.strerror}\n")
        sys.exit(EXIT_NOT_FOUND)


if __name__ == "__main__":
    main()
