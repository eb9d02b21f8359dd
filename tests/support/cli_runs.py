"""Running the `paperless` command inside the test's process: for what ends before anything is started."""

import signal
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from paperless.__main__ import main


class Ended(NamedTuple):
    code: int | str | None
    out: str
    err: str

    @property
    def error(self) -> str:
        """What a person reads, on one line: usage errors come in a box that breaks lines."""
        return " ".join(self.err.replace("│", " ").split())


Paperless = Callable[..., Ended]


def paperless_in(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Paperless:
    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["paperless", *map(str, arguments)])
        handler, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            signal.signal(signal.SIGINT, handler)
            sys.unraisablehook = hook
        out, err = capsys.readouterr()
        return Ended(ended.value.code, out, err)

    return run
