"""What a person who waits is told while libraries are imported: on a busy machine that takes many seconds.

The standard library only: it stands before everything else that is imported.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Of a person who waits; programs that read standard error are not told.
LOADING: Final = "PAPERLESS_SAY_LOADING"
SAID_EVERY_S: Final = 3.0


@contextmanager
def loading() -> Iterator[None]:
    """Say on standard error, every few seconds, that libraries are being loaded."""
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
