"""`python -m tests.support.every_command FOLDER`: every command line of the project, in forks of one process.

Each is run with its streams as in each of `MODES`. FOLDER gets what they wrote, as MODE.out and MODE.err, and
report.json with their exit codes by mode and words. None starts anything: they show help, or end with an error.
"""

import gc
import importlib
import io
import json
import os
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

from benchmarks.__main__ import app as benchmarks
from domain import load_domain
from paperless.cli.main import app as paperless
from tests.support.command_tree import commands_of

ROOT = Path(__file__).parents[2]
MODULES = (
    "services.scoring.api",
    "services.scoring.store.migrate",
    "services.scoring.store.publication",
    "services.scoring.store.retention",
)
# Whatever takes a fault plan would start something, or reckon for minutes; a plan that does not exist ends it.
PLAN = "plan"
# One needs a package of development; the other comes before all packages, and before how commands end.
ALONE = {"make_communes", "install"}
Kind = Literal["kept", "full", "closed", "reader gone"]


class Mode(NamedTuple):
    """Where both streams lead, their encoding, and every how many-th command is run so."""

    out: Kind = "kept"
    err: Kind = "kept"
    encoding: str = "utf-8"
    step: int = 7


MODES = {
    "usual": Mode(step=1),
    "output full": Mode(out="full", step=2),
    "output closed": Mode(out="closed"),
    "reader gone": Mode(out="reader gone"),
    "error full": Mode(err="full"),
    "error closed": Mode(err="closed"),
    "error unread": Mode(err="reader gone"),
    "both closed": Mode(out="closed", err="closed"),
    "ascii": Mode(encoding="ascii", step=2),
    "latin-1": Mode(encoding="latin-1"),
    "cp1252": Mode(encoding="cp1252"),
}


def command_lines() -> Iterator[list[str]]:
    """Yield module and arguments of every command: its help, and an error."""
    for module, app in (("paperless", paperless), ("benchmarks", benchmarks)):
        for words, command in commands_of(app):
            yield [module, *words, "--help"]
            if module == "paperless":
                planned = any(parameter.name == PLAN for parameter in command.params)
                yield [module, *words, *([f"--{PLAN}", "none"] if planned else [])]
        yield [module, "--no-such-option"]
    tools = (path.stem for path in sorted((ROOT / "tools").glob("*.py")) if "__main__" in path.read_text("utf-8"))
    for module in (*MODULES, *(f"tools.{name}" for name in tools if name not in ALONE)):
        yield [module, "--help"]


def exit_code(words: list[str], name: str, folder: Path) -> int:
    """Run a command in a fork; a signal is a negative number."""
    child = os.fork()
    if child == 0:
        mode = MODES[name]
        sys.stdout = sys.__stdout__ = _leading(1, mode.out, folder / f"{name}.out", mode.encoding)  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = _leading(2, mode.err, folder / f"{name}.err", mode.encoding)  # type: ignore[misc]
        _become(words)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _leading(number: int, kind: Kind, file: Path, encoding: str) -> io.TextIOWrapper | None:
    """Let a standard stream lead where this kind says; return it as Python would open it."""
    if kind == "closed":
        os.close(number)
        return None
    if kind == "reader gone":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open("/dev/full" if kind == "full" else file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(writer, number)
    os.close(writer)
    raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
    errors = "backslashreplace" if number == 2 else "strict"
    return io.TextIOWrapper(raw, encoding, errors, line_buffering=number == 2)


def _become(words: list[str]) -> NoReturn:
    sys.argv = list(words)
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    sys.exit(0)


def main() -> None:
    # Once, for all forks, which leave what they have not made alone when they end.
    for name in (*MODULES, "services.scoring.api.app", "typer.rich_utils", "rich.markdown"):
        importlib.import_module(name)
    load_domain()
    lines, folder = list(command_lines()), Path(sys.argv[1])
    gc.freeze()
    report = {
        name: {" ".join(words): exit_code(words, name, folder) for words in lines[:: mode.step]}
        for name, mode in MODES.items()
    }
    (folder / "report.json").write_text(json.dumps(report), "utf-8")


if __name__ == "__main__":
    main()
