"""Checks the types of the page's modules, which stand in comments (JSDoc), with the compiler of TypeScript.

`python -m tools.page_types` takes `tsc` where it is installed, or has npm run it. Exit codes: 0 no fault, or not
checked, which it says; 1 faults, they are listed. Nothing of it is shipped, and the page is served as it is written.
"""

import argparse
import shutil
import subprocess
from pathlib import Path

from runtime.command_line import run

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "typescript@7.0.2"
CHECK = ("tsc", "--noEmit", "-p", "services/portal")
WITHIN_S = 120
CLEAN, FAULTS = 0, 1


def check() -> int:
    """Return the exit code."""
    argparse.ArgumentParser(prog="python -m tools.page_types", description=str(__doc__)).parse_args()
    npm = ("npm", "exec", "--yes", f"--package={PACKAGE}", "--")
    command = CHECK if shutil.which("tsc") else (*npm, *CHECK) if shutil.which("npm") else ()
    if not command:
        print("the types of the page: not checked, neither tsc nor npm is here")
        return CLEAN
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=False)  # noqa: S603  our own arguments, no shell
    faults = "error TS" in done.stdout
    if done.returncode and not faults:
        # npm found no compiler: that says nothing about the page.
        print(f"the types of the page: not checked, {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
        return CLEAN
    print(done.stdout, end="")
    return FAULTS if faults else CLEAN


if __name__ == "__main__":
    run(check)
