"""The `paperless` command, or what to install for it: a library that only some commands need comes with an extra."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Of a person who waits; programs that read standard error are not told.
LOADING: Final = "PAPERLESS_SAY_LOADING"
SAID_EVERY_S: Final = 3.0
# Library and extra, of what a service does without; tests/contract/test_dependencies.py knows whether all are here.
EXTRAS = {
    "confluent_kafka": "command",
    "filelock": "command",
    "hdrh": "load",
    "numpy": "whatif",
    "psutil": "command",
    "pygal": "load",
    "pytest": "testing",
    "rich": "command",
    "testcontainers": "testing",
}


def main() -> None:
    """Run the command and exit, see `runtime.command_line`; with one sentence where its library is not installed."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # What is imported next takes its time, and has no answer to Ctrl-C yet.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from runtime.command_line import run  # noqa: PLC0415

    run(_command)


def _command() -> None:
    from runtime.command_line import CommandError  # noqa: PLC0415

    try:
        with _loading():
            from paperless.cli.main import command  # noqa: PLC0415  to be asked for only here

        command()
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in EXTRAS:
            raise
        raise CommandError(f'{name} is not installed; pip install "paperless[{EXTRAS[name]}]"') from error


@contextmanager
def _loading() -> Iterator[None]:
    """Say on standard error, every few seconds, that libraries are being loaded: on a busy machine it takes many."""
    loaded = threading.Event()

    def say() -> None:
        began = time.monotonic()
        while not loaded.wait(SAID_EVERY_S):
            sys.stderr.write(f"paperless: loading, {time.monotonic() - began:.0f} s\n")
            sys.stderr.flush()

    if sys.stderr.isatty() or os.environ.get(LOADING):
        threading.Thread(target=say, daemon=True).start()
    try:
        yield
    finally:
        loaded.set()


if __name__ == "__main__":
    main()
