"""Writes the bill of materials of what is shipped, and holds it against the lock.

`python -m tools.bill_of_materials [TARGET]` (default: build/sbom.cdx.json) writes CycloneDX 1.6 as JSON: every package
of requirements/run.txt with version, package URL and hashes, and every Go module that the embedded broker is built
from, whose hashes go.sum has. The same locks give the same file. Exit code 1: the bill is not valid, or not that of
the locks.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.command_line import run
from tools.audit import LOCK, ROOT, locked, normalised

TARGET = ROOT / "build/sbom.cdx.json"
MODULES = ROOT / "paperless/local/kfake/go.mod"
WITHIN_S = 50


def required(modules: str) -> set[tuple[str, str]]:
    """Return path and version of every module that a go.mod requires, directly or not."""
    return set(re.findall(r"^(?:require)?\s+(\S+/\S+) (v\S+)", modules, re.MULTILINE))


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
    _add_modules(target)


def _add_modules(target: Path) -> None:
    bill = json.loads(target.read_text("utf-8"))
    for path, version in sorted(required(MODULES.read_text("utf-8"))):
        address = f"pkg:golang/{path}@{version}"
        module = {"type": "library", "bom-ref": address, "name": path, "version": version, "purl": address}
        bill["components"].append(module)
        bill["dependencies"].append({"ref": address})
    target.write_text(json.dumps(bill, indent=2, ensure_ascii=False), "utf-8")


def differences(target: Path, lock: Path = LOCK) -> list[str]:
    """Return a line per package or module in which bill and locks differ."""
    pinned = {f"pkg:pypi/{name}@{version}" for name, version in locked(lock.read_text("utf-8"))}
    pinned |= {f"pkg:golang/{path}@{version}" for path, version in required(MODULES.read_text("utf-8"))}
    components = json.loads(target.read_text("utf-8"))["components"]
    listed = {_address(each) for each in components}
    addressed = {each.get("purl", "no purl").partition("?")[0] for each in components}
    return [
        *(f"{each}: locked, not in the bill" for each in sorted(pinned - (listed & addressed))),
        *(f"{each}: in the bill, not locked" for each in sorted((listed | addressed) - pinned)),
    ]


def _address(component: Mapping[str, Any]) -> str:
    """Return the package URL that follows from a component's name: a Go module's name is a path."""
    name = component["name"]
    package = f"golang/{name}" if "/" in name else f"pypi/{normalised(name)}"
    return f"pkg:{package}@{component['version']}"


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
    modules = required(MODULES.read_text("utf-8"))
    print(f"{target}: {len(locked(LOCK.read_text('utf-8')))} packages, {len(modules)} Go modules")
    return 1 if differ else 0


if __name__ == "__main__":
    run(main)
