"""Play histories of the simulated cluster: one by its seed with its time line, or many, and shorten what fails."""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from random import SystemRandom

from tests.cluster.batches import PATIENCE, hunted, played, shortened, side_by_side
from tests.cluster.history import APPLICATIONS, History, Wish
from tests.cluster.mishaps import KINDS
from tests.cluster.mutants import MUTANTS
from tests.cluster.page import page_of
from tests.support.filings import PLANS

SAID_EVERY_S = 5.0
EXAMPLES = """
  python -m tests.cluster --seed 7                       play history 7 and print its time line
  python -m tests.cluster --seed 7 --without 0,2         the same without two of its mishaps
  python -m tests.cluster --seed 1 --histories 500       play 500 histories, on all processors
  python -m tests.cluster --seed 7 --page build/history.html   show it
  python -m tests.cluster --minutes 10                   play fresh seeds for ten minutes
  python -m tests.cluster --mutants                      see how soon each fault of the mutants is noticed
  python -m tests.cluster --histories 50 --kinds "kill,store away"
"""


def main(arguments: Sequence[str]) -> int:
    """Play what is asked for; return 1 if something did not hold."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of names are walked in the order of their hashes; with these fixed a seed gives one history.
        command = [sys.executable, "-m", "tests.cluster", *arguments]
        os.execve(sys.executable, command, {**os.environ, "PYTHONHASHSEED": "0"})
    options = _parser().parse_args(arguments)
    if options.mutants is not None:
        return _mutants(options.mutants or list(MUTANTS), options.histories, options.jobs)
    if options.minutes is None and options.histories == 1:
        history = played(_wish(options, options.seed))
        for at, line in history.lines:
            say(f"{at:9.3f}  {line}")
        say("\n".join(history.violations) or "all held")
        if options.page is not None:
            options.page.parent.mkdir(parents=True, exist_ok=True)
            options.page.write_text(page_of(history), "utf-8")
        return 1 if history.violations else 0
    return _judged(_many(options))


def _many(options: argparse.Namespace) -> Iterator[History]:
    fresh = options.minutes is not None
    first = SystemRandom().randrange(1_000_000, 1_000_000_000) if fresh and options.seed is None else options.seed or 0
    until = time.monotonic() + 60 * options.minutes if fresh else None
    seeds = count(first) if fresh else islice(count(first), options.histories)
    say(f"playing {f'{options.minutes:g} minutes' if fresh else f'{options.histories} histories'} from seed {first} on")
    yield from side_by_side((_wish(options, seed) for seed in seeds), options.jobs, until)


def _mutants(names: Sequence[str], histories: int, jobs: int) -> int:
    """Tell how soon each mutant is noticed and by what; return 1 if one is not."""
    say(f"{'mutant':46} {'histories':>9} {'seconds':>8}  noticed by")
    unnoticed = 0
    for mutant in hunted(names, histories if histories > 1 else PATIENCE, jobs):
        unnoticed += mutant.histories is None
        say(f"{mutant.name:46} {mutant.histories or '-':>9} {mutant.seconds:8.1f}  {mutant.violation[:160]}")
    say(f"{len(names)} mutants, {unnoticed or 'none'} unnoticed")
    return 1 if unnoticed else 0


def _judged(histories: Iterable[History]) -> int:
    """Tell how it goes and what failed; return 1 if something did."""
    began = said = time.monotonic()
    total, failed, applications, simulated_s, processor_s = 0, 0, 0, 0.0, 0.0
    for history in histories:
        total += 1
        applications += history.submitted
        simulated_s += history.lasted_s
        processor_s += history.processor_s
        if history.violations:
            failed += 1
            say("\n".join([f"seed {history.wish.seed}: FAILED", *(f"  {each}" for each in history.violations)]))
            say(f"  again:   {history.wish.command()}\n  shorter: {shortened(history).wish.command()}")
        if time.monotonic() - said > SAID_EVERY_S:
            said = time.monotonic()
            say(f"{total} histories, {failed} failed, {said - began:.0f} s")
    say(
        f"{total} histories, {applications} submissions, {simulated_s / 3600:.1f} simulated hours"
        f" in {time.monotonic() - began:.0f} s, {processor_s / max(total, 1):.2f} s of processor each:"
        f" {failed or 'none'} failed"
    )
    return 1 if failed else 0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _wish(options: argparse.Namespace, seed: int | None) -> Wish:
    numbers = frozenset(int(number) for number in options.without.split(",") if number)
    kinds = tuple(kind.strip() for kind in options.kinds.split(",") if kind.strip())
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise SystemExit(f"error: no kind of mishap is called {unknown[0]!r}; there are {', '.join(KINDS)}")
    return Wish(seed=seed or 0, applications=options.applications, without=numbers, kinds=kinds, plan=options.plan)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster",
        description=__doc__,
        epilog=f"examples:{EXAMPLES}\nexit codes: 0 all held, 1 something did not hold, 2 wrong use",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the first history's (default 0, with --minutes any)")
    parser.add_argument("--histories", type=int, default=1, metavar="N", help="how many, one seed after the other")
    parser.add_argument("--minutes", type=float, metavar="M", help="play fresh seeds for so long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: all)")
    parser.add_argument("--applications", type=int, default=APPLICATIONS, metavar="N", help="applications a history")
    parser.add_argument("--without", default="", metavar="NUMBERS", help="mishaps of the history to leave out")
    parser.add_argument("--kinds", default="", metavar="KINDS", help=f"only such mishaps: {', '.join(KINDS)}")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the one history as a page with its time line")
    parser.add_argument("--plan", default="", choices=["", *PLANS], help="the mock's fault plan (default: drawn)")
    parser.add_argument(
        "--mutants", nargs="*", choices=list(MUTANTS), metavar="NAME", help="hunt mutants (default: all)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
