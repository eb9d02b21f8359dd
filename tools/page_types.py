"""Checks the types of the page's modules, which stand in comments (JSDoc), and how they are written.

`python -m tools.page_types` takes TypeScript's `tsc` where it is installed, or has npm run it; npm also runs prettier,
with `--write` to write the files anew. Exit codes: 0 no fault, or not
checked, which it says; 1 faults, they are listed. Nothing of it is shipped, and the page is served as it is written.
"""

import argparse
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from runtime.command_line import run

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "typescript@7.0.2"
CHECK = ("tsc", "--noEmit", "-p", "services/portal")
FORMATTER = "prettier@3.6.2"
FORMAT = ("prettier", "--print-width", "120", "--object-wrap", "collapse")
FORMATTED = ("services/portal/web/*.js", "services/portal/web/*.css")
WITHIN_S = 120
CLEAN, FAULTS = 0, 1


def check() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.page_types", description=str(__doc__))
    parser.add_argument("--write", action="store_true", help="write the files as the formatter has them")
    way = "--write" if parser.parse_args().write else "--check"
    tsc = CHECK if shutil.which("tsc") else by_npm(PACKAGE, CHECK)
    types = told("the types of the page", tsc, "error TS")
    form = told("the form of the page", by_npm(FORMATTER, (*FORMAT, way, *FORMATTED)), "[warn]")
    return FAULTS if types or form else CLEAN


def by_npm(package: str, command: Sequence[str]) -> tuple[str, ...]:
    """Return a command that npm runs from a package, nothing where there is no npm."""
    return ("npm", "exec", "--yes", f"--package={package}", "--", *command) if shutil.which("npm") else ()


def told(about: str, command: Sequence[str], fault: str) -> bool:
    """Return whether a command finds faults, which it prints; where it cannot run, that is said."""
    if not command:
        print(f"{about}: not checked, no npm is here")
        return False
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=False)  # noqa: S603  our own arguments, no shell
    faults = fault in done.stdout + done.stderr
    if done.returncode and not faults:
        # npm found no such tool: that says nothing about the page.
        print(f"{about}: not checked, {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
        return False
    if faults:
        print(done.stdout, done.stderr, sep="", end="")
    return faults


if __name__ == "__main__":
    run(check)
