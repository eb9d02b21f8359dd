"""Writes the bill of materials of what is shipped, and holds it against the lock.

`python -m tools.bill_of_materials [TARGET]` (default: build/sbom.cdx.json) writes CycloneDX 1.6 as JSON: every package
of requirements/run.txt with version, package URL and hashes. The same lock gives the same file. Exit code 1: the bill
is not valid, or not that of the lock.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from runtime.command_line import run
from tools.audit import LOCK, ROOT, locked, normalised

TARGET = ROOT / "build/sbom.cdx.json"
WITHIN_S = 50


def write(target: Path, lock: Path = LOCK) -> None:
    """Write the bill of a lock.

    Raises:
        CalledProcessError: the lock cannot be read, or the bill is not valid by its schema.

    """
    target.parent.mkdir(parents=True, exist_ok=True)
    program = Path(sys.executable).with_name("cyclonedx-py")
    options = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--validate", "--sv", "1.6"]
    subprocess.run(  # noqa: S603  our own arguments, no shell
        # Python's warning that a lock has no dependency graph is no news.
        [program, "requirements", str(lock), *options, "--of", "JSON", "--output-file", str(target)],
        check=True,
        capture_output=True,
        timeout=WITHIN_S,
    )


def differences(target: Path, lock: Path = LOCK) -> list[str]:
    """Return a line per package in which bill and lock differ."""
    pinned = {f"pkg:pypi/{name}@{version}" for name, version in locked(lock.read_text("utf-8"))}
    components = json.loads(target.read_text("utf-8"))["components"]
    listed = {f"pkg:pypi/{normalised(each['name'])}@{each['version']}" for each in components}
    addressed = {each.get("purl", "no purl").partition("?")[0] for each in components}
    return [
        *(f"{each}: locked, not in the bill" for each in sorted(pinned - (listed & addressed))),
        *(f"{each}: in the bill, not locked" for each in sorted((listed | addressed) - pinned)),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the bill and compare it."""
    parser = argparse.ArgumentParser(prog="python -m tools.bill_of_materials", description="Write what is shipped.")
    parser.add_argument("target", nargs="?", type=Path, default=TARGET, help="a CycloneDX file (JSON)")
    target = parser.parse_args(arguments).target
    try:
        write(target)
    except subprocess.CalledProcessError as error:
        print(error.stderr.decode(), file=sys.stderr)
        return 1
    differ = differences(target)
    for line in differ:
        print(line, file=sys.stderr)
    print(f"{target}: {len(locked(LOCK.read_text('utf-8')))} packages")
    return 1 if differ else 0


if __name__ == "__main__":
    run(main)
