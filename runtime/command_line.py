"""How a command ends: an exit code that says what happened, and text that its terminal can show.

The standard library only: a command calls `run` before anything else of it is imported.
"""

import _thread
import codecs
import io
import os
import signal
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO

EXIT_ERROR = 2
# EX_SOFTWARE of sysexits.h: a fault of ours. Python's own 1 would say that a verdict is not ok.
EXIT_FAULT = 70
# The shell's convention for a command that a signal ended: 128 and its number; here SIGINT and SIGPIPE.
EXIT_BY_SIGNAL = 128
EXIT_INTERRUPTED, EXIT_READER_GONE = 130, 141
EXIT_CODES = """\
Exit codes: 0 fine; 1 the verdict is not ok; 2 an error that the message explains; 70 a fault of the program itself;
129 SIGHUP; 130 Ctrl-C; 141 whoever read the output went away; 143 SIGTERM."""
# What has no form of its own in ASCII; marks on letters are left out, anything else becomes a question mark.
_PLAIN = {
    "đ": "d", "Đ": "D", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "•": "*", "·": ".", "×": "x",
    "→": "->", "≠": "!=", "≤": "<=", "≥": ">=", "µ": "u", "✓": "v",
}  # fmt: skip
PLAIN = "plain"
_SPINNER = range(0x2800, 0x2900)


class CommandError(RuntimeError):
    """What a user can cause or mend: its text is all that is shown."""


class OutputError(Exception):
    """Standard output takes nothing more. No `OSError`: libraries end the process at one, with a code of theirs."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"standard output cannot be written ({cause.strerror})")
        self.reader_gone = isinstance(cause, BrokenPipeError)


def run(command: Callable[[], object]) -> NoReturn:
    """Run a command to its end and exit: with its own code, or one of `EXIT_CODES`.

    Ctrl-C ends it at once until `interruptible` is called: while it is imported, there is nothing to clean up.
    """
    _open_streams()
    _answer_ctrl_c_at_once()
    code = _code_of(command)
    _answer_ctrl_c_at_once()
    code = _code_of(sys.stdout.flush) or code
    if code == EXIT_INTERRUPTED:
        # Pressed again, Ctrl-C would hit the interpreter while it takes itself down.
        os._exit(EXIT_INTERRUPTED)
    sys.exit(code)


def _answer_ctrl_c_at_once() -> None:
    # It may be ignored, as a shell does for what it starts in the background.
    if signal.getsignal(signal.SIGINT) in {signal.default_int_handler, signal.SIG_DFL}:
        signal.signal(signal.SIGINT, _end_at_once)


def interruptible() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt` from now on: what has begun can be cleaned up."""
    if signal.getsignal(signal.SIGINT) is _end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = _not_raised


@contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Hold SIGINT back until the end: what is done here is short and must not be left half done.

    Processes started here inherit that, so Ctrl-C is ours alone to answer. Ignored instead of held back, it would be
    lost where it comes while they start.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _code_of(work: Callable[[], object]) -> int | str | None:
    try:
        code = work()
    except SystemExit as end:
        return end.code
    except KeyboardInterrupt:
        return _told("stopped", EXIT_INTERRUPTED)
    except CommandError as error:
        return _told(f"error: {error}", EXIT_ERROR)
    except OutputError as error:
        # The interpreter would try once more to write what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_READER_GONE if error.reader_gone else _told(f"error: {error}", EXIT_ERROR)
    except Exception:  # noqa: BLE001  a fault of ours
        return _told(traceback.format_exc(), EXIT_FAULT)
    return code if isinstance(code, int) else None


def _told(text: str, code: int) -> int:
    sys.stderr.write(f"{text.rstrip()}\n")
    return code


def _end_at_once(*_: object) -> NoReturn:
    # Nothing of Python's: an import that is interrupted may turn the exception into another one, and print it.
    with suppress(OSError):
        os.write(2, b"stopped\n")
    os._exit(EXIT_INTERRUPTED)


def _not_raised(unraisable: "sys.UnraisableHookArgs") -> None:
    """Ctrl-C in the middle of a callback that may not raise: pressed again, instead of printed and forgotten."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _thread.interrupt_main()
    else:
        sys.__unraisablehook__(unraisable)


def _open_streams() -> None:
    """Make all three standard streams usable, whatever they lead to."""
    # A file or socket that is opened later must not get the number of a closed stream: it would be written to.
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)  # noqa: FBT003  its only form
    os.close(number)
    # Not those of a test, or of whoever runs this within a program of theirs.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(sys.__stdout__, _Output(1, "w", closefd=False))
    unfailing_stderr()


def unfailing_stderr() -> None:
    """Let standard error lose what it cannot write, on a full disk for example: that can be told to nobody."""
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(sys.__stderr__, _Silence(2, "w", closefd=False), line_buffering=True)


def _text(before: TextIO | None, raw: io.FileIO, *, line_buffering: bool = False) -> io.TextIOWrapper:
    encoding = before.encoding if before is not None else "utf-8"
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, errors=PLAIN, line_buffering=line_buffering or raw.isatty()
    )


class _Output(io.FileIO):
    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            raise OutputError(error) from error


class _Silence(io.FileIO):
    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError:
            return len(memoryview(data))  # type: ignore[arg-type]


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain_letter, error.object[error.start : error.end])), error.end


def _plain_letter(letter: str) -> str:
    if ord(letter) in _SPINNER:
        return "*"
    base = "".join(part for part in unicodedata.normalize("NFKD", letter) if part.isascii())
    return _PLAIN.get(letter) or base or "?"


codecs.register_error(PLAIN, _plain)
