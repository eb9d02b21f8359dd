"""Play histories: one by its seed, or many; `python -m tests.cluster --help`."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.history import APPLICATIONS, History, Wish, play

SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main(arguments: list[str]) -> int:
    """Play what is asked for; return 1 if something did not hold."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of names are walked in the order of their hashes; with these fixed a seed gives one history.
        os.execve(
            sys.executable, [sys.executable, "-m", "tests.cluster", *arguments], {**os.environ, "PYTHONHASHSEED": "0"}
        )
    options = _parser().parse_args(arguments)
    seeds = range(options.seed, options.seed + options.histories)
    began, failed = time.perf_counter(), 0
    for seed in seeds:
        wish = Wish(
            seed=seed,
            applications=options.applications,
            without=frozenset(map(int, filter(None, options.without.split(",")))),
            kinds=tuple(filter(None, options.kinds.split(","))),
        )
        history = played(wish)
        failed += bool(history.violations)
        if options.histories == 1:
            for at, line in history.lines:
                _say(f"{at:9.3f}  {line}")
        if history.violations:
            _say(f"seed {seed}: {history.violations}\n  again: {wish.command()}")
    count = len(seeds)
    _say(f"{count} histories in {time.perf_counter() - began:.1f} s, {failed} failed")
    return 1 if failed else 0


def played(wish: Wish) -> History:
    """Play a history in a scratch folder."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        return play(wish, Path(folder))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--histories", type=int, default=1)
    parser.add_argument("--applications", type=int, default=APPLICATIONS)
    parser.add_argument("--without", default="", metavar="NUMBERS")
    parser.add_argument("--kinds", default="", metavar="KINDS")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
