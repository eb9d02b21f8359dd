"""Looks every locked package up in a database of known vulnerabilities, and never takes silence for a clean bill.

`python -m tools.audit [LOCK]` runs pip-audit on a lock with hashes (default: requirements/run.txt, what is shipped).

Exit codes: 0 every package was looked up and none is known to be vulnerable; 1 some are, they are listed; 3 not
audited, because no advisory service answered for every package. pip-audit itself exits with 0 in that case, when the
package index that it asks is a mirror without advisories: it finds nothing where it could look nothing up.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from runtime.command_line import CommandError, run

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements/run.txt"
# The package index's own advisories first; OSV has the same and more, at another address.
SERVICES = ("pypi", "osv")
WITHIN_S = 300
TIMEOUT_S = 10
CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 3
Ask = Callable[[str, Path], str]


class Audit(NamedTuple):
    """What one service said: packages it looked up, and one line per known vulnerability."""

    service: str
    audited: frozenset[str] = frozenset()
    findings: tuple[str, ...] = ()
    trouble: str = ""


def locked(lock: str) -> set[tuple[str, str]]:
    """Return normalised name and version of every package of a lock; a package may have one version per platform."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", lock, re.MULTILINE)
    return {(normalised(name), version) for name, version in pins}


def normalised(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_report(service: str, report: str) -> Audit:
    """Return what a JSON report of pip-audit says; text that is none means that nobody answered."""
    try:
        dependencies: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Audit(service, trouble=(report.strip().splitlines() or ["no answer"])[-1])
    looked_up = [each for each in dependencies if "vulns" in each]
    skipped = [str(each["skip_reason"]) for each in dependencies if "skip_reason" in each]
    return Audit(
        service,
        frozenset(normalised(each["name"]) for each in looked_up),
        tuple(line for each in looked_up for line in _findings(each)),
        skipped[0] if skipped else "",
    )


def _findings(dependency: dict[str, Any]) -> Iterable[str]:
    for known in dependency["vulns"]:
        fixed = ", ".join(known["fix_versions"]) or "no version yet"
        yield f"{dependency['name']} {dependency['version']}: {known['id']}, fixed in {fixed}"


def audit(lock: Path, ask: Ask, say: Callable[[str], None]) -> int:
    """Ask the services in turn until one has looked every package up; return the exit code."""
    packages = {name for name, _ in locked(lock.read_text("utf-8"))}
    missing = packages
    for service in SERVICES:
        report = read_report(service, ask(service, lock))
        for line in report.findings:
            say(line)
        if report.findings:
            say(f"vulnerable: {len(report.findings)} known by {service}; renew the lock with make lock ARGS=--upgrade")
            return VULNERABLE
        missing = packages - report.audited
        if not missing:
            say(f"audited by {service}: {len(packages)} packages of {lock.name}, none known to be vulnerable")
            return CLEAN
        say(f"{service} answered for {len(packages) - len(missing)} of {len(packages)} packages: {report.trouble}")
    say(f"not audited: no advisory service could be reached for {len(missing)} packages of {lock.name}")
    return NOT_AUDITED


def pip_audit(service: str, lock: Path) -> str:
    """Return pip-audit's report, or what it says where it makes none."""
    options = ["--requirement", str(lock), "--require-hashes", "--disable-pip", "--format", "json"]
    quiet = ["--progress-spinner", "off", "--timeout", str(TIMEOUT_S), "--vulnerability-service", service]
    try:
        done = subprocess.run(  # noqa: S603  our own arguments, no shell
            [sys.executable, "-m", "pip_audit", *options, *quiet],
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {WITHIN_S} s"
    return done.stdout or done.stderr


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit the lock that is named, or what is shipped."""
    parser = argparse.ArgumentParser(prog="python -m tools.audit", description="Look for known vulnerabilities.")
    parser.add_argument(
        "lock", nargs="?", type=Path, default=LOCK, help="a lock with hashes; by default what is shipped"
    )
    lock = parser.parse_args(arguments).lock
    try:
        return audit(lock, pip_audit, print)
    except OSError as error:
        raise CommandError(f"{lock}: cannot be read ({error.strerror}); name a lock with hashes") from error


if __name__ == "__main__":
    run(main)
