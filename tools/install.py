"""`pip install` in seconds instead of minutes: by uv, from wherever pip is configured to take packages.

    python -m tools.install --require-hashes -r requirements/run.txt
    python -m tools.install --into .venv-peers --require-hashes -r requirements/peers.txt

Runs where nothing is installed. Where uv cannot be had, cannot do what pip is configured for, or fails, pip installs.
"""

import argparse
import os
import subprocess
import sys
from ast import literal_eval
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

WHAT: Final = "Install what pip is told to install, by uv, from where pip is configured to take packages."
LOCK: Final = Path(__file__).parents[1] / "requirements" / "uv.txt"
PIP: Final = ("-m", "pip", "--disable-pip-version-check", "--no-input")
GET_UV: Final = ("install", "--quiet", "--require-hashes", "--only-binary=:all:", "-r", str(LOCK))
# Every version is given, and its hash: from which of several addresses it comes makes no difference.
# Compiled here, as pip does: where Python may not write bytecode, every start of every process would compile it all.
UV: Final = ("--no-config", "pip", "install", "--quiet", "--index-strategy=unsafe-best-match", "--compile-bytecode")
# What pip calls it, and uv; a value has several words where there are several addresses.
OPTIONS: Final = {
    "index-url": "--default-index",
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "trusted-host": "--allow-insecure-host",
}
VARIABLES: Final = {"cert": "SSL_CERT_FILE", "timeout": "UV_HTTP_TIMEOUT", "default-timeout": "UV_HTTP_TIMEOUT"}
# How pip talks and keeps what it has; none of it says where a package comes from.
OWN: Final = {
    "break-system-packages", "cache-dir", "disable-pip-version-check", "no-cache-dir", "no-color", "no-input",
    "progress-bar", "quiet", "require-virtualenv", "retries", "root-user-action", "verbose",
}  # fmt: skip
# Of these sections, which `pip config list` shows in any order, a later one prevails.
SECTIONS: Final = ("global", "install", ":env:")


def settings(listed: str) -> dict[str, str]:
    """Return what `pip install` goes by, from what `pip config list` prints."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in found:
            found[section][key] = literal_eval(value)
    return {key: value for section in SECTIONS for key, value in found[section].items()}


def as_uv_has_it(configured: Mapping[str, str]) -> tuple[list[str], dict[str, str]] | None:
    """Return pip's settings as options and environment variables of uv; None: uv has no equal of one of them."""
    if configured.keys() - OPTIONS.keys() - VARIABLES.keys() - OWN:
        return None
    options = [
        part
        for name, option in OPTIONS.items()
        for address in configured.get(name, "").split()
        # A folder that is not there is no error to pip.
        if name != "find-links" or "://" in address or Path(address).exists()
        for part in (option, address)
    ]
    return options, {variable: configured[name] for name, variable in VARIABLES.items() if name in configured}


def _by_uv(arguments: Sequence[str], into: str) -> bool:
    """Whether uv could do it."""
    asked = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603  a fixed command
    given = as_uv_has_it(settings(listed.stdout))
    uv = Path(sys.executable).with_name("uv")
    if given is None or (not uv.exists() and _ran([sys.executable, *PIP, *GET_UV])):
        return False
    options, variables = given
    environment = {**os.environ, "UV_NATIVE_TLS": "true", **variables}
    return not _ran([str(uv), *UV, "--python", into, *options, *arguments], environment)


def _ran(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    try:
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603  built above
    except OSError:
        return -1


def main(arguments: list[str]) -> int:
    """Install; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.install", description=WHAT, allow_abbrev=False)
    parser.add_argument("--into", type=Path, metavar="VENV", help="another environment than this program's own")
    options, rest = parser.parse_known_args(arguments)
    into = str(options.into / "bin" / "python") if options.into else sys.executable
    if _by_uv(rest, into):
        return 0
    print("uv did not install it: pip does, which takes minutes", file=sys.stderr)
    return _ran([sys.executable, *PIP, "--python", into, "install", "--quiet", *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
