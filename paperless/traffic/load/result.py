"""The result of a load run as JSON: figures, and what one must know to believe them or to repeat the run."""

import platform
import sys
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9, 99.99)
# 1 µs to 10 min at three digits: 0.1 % of each value.
LOWEST_US, HIGHEST_US, DIGITS = 1, 600_000_000, 3
Count = Annotated[int, Field(ge=0)]


class LoadError(RuntimeError):
    """A load run that cannot be made, read or written; says which part and what to do."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Distribution(_Frozen):
    """Latencies in ms. `histogram` is an HDR histogram in µs (HdrHistogram V2, base64), so runs can be merged exactly.

    `unfinished`: how many are in it with the time they had waited when the run ended, because they never got there.
    Left out, they would make the figures better.
    """

    count: Count
    unfinished: Count = 0
    mean: float
    percentiles: dict[str, float]
    max: float
    histogram: str

    @cached_property
    def decoded(self) -> Any:
        """The histogram (`hdrh.histogram.HdrHistogram`), in µs."""
        from hdrh.histogram import HdrHistogram  # noqa: PLC0415  reading a result needs no extra

        return HdrHistogram.decode(self.histogram)


class Second(_Frozen):
    """One second of a run. Latencies (ms, to the stored cell) are of what was intended in it, null where nothing was.

    `backlog`: sent and without an outcome at its end.
    """

    second: Count
    sent: Count
    decided: Count
    stored: Count
    backlog: int
    p50: float | None = None
    p99: float | None = None
    max: float | None = None


class Counts(_Frozen):
    """What became of the applications, warm-up included; `missing` were not stored when the run's patience ended.

    `seen_again`: further outcomes of an application (overruled or delivered again), which the store ignores or updates.
    `foreign`: outcomes of applications of somebody else.
    """

    sent: Count
    acknowledged: Count
    decided: Count
    stored: Count
    missing: Count
    seen_again: Count
    foreign: Count


class Meter(_Frozen):
    """CPU of the driver while it sent and watched, in µs per application; making applications ahead is left out.

    `generator` and `observer` are their own code; `clients` is the rest of the process: Kafka and HTTP clients, event
    loop, display.
    """

    generator: float
    observer: float
    clients: float


class Observation(_Frozen):
    """How finely the stored position was seen: an application counts as stored when an answer says so, never before.

    `polls`: answers of the scoring API; `gap`: ms between its look at the store that saw a position and the look
    before, while something was awaited.
    """

    polls: Count
    failed: Count
    gap: Distribution


class Measured(_Frozen):
    """One run at one rate. Latencies are counted from the intended moment, warm-up left out."""

    rate: float | None
    seconds: float
    counts: Counts
    to_append: Distribution
    to_outcome: Distribution
    to_stored: Distribution
    slip: Distribution
    series: tuple[Second, ...]
    meter: Meter
    observation: Observation
    stopped_early: bool = False


class Step(_Frozen):
    """One rate of a search, and why it counts as sustained or not."""

    rate: float
    sustained: bool
    why: str
    measured: Measured


class Ceiling(_Frozen):
    """What this driver can do on this machine, a second: make applications, and hand them to a producer that is none.

    The network and the observer are left out, so a real run's limit lies below.
    """

    made_per_s: float
    handed_per_s: float


class Machine(_Frozen):
    """Where the driver ran; memory in bytes."""

    cores: int
    cpu: str
    memory: int
    system: str
    python: str


class LoadResult(_Frozen):
    """What `--json` writes. `measured` is the run or, of a search, its highest sustained step (null: none was)."""

    format: Literal[1] = 1
    command: str
    mode: Literal["open", "closed", "max"]
    arrivals: str
    rate: float | None
    in_flight: int | None
    limit_p99_ms: float | None
    seconds: float
    warm_up_s: float
    drain_s: float
    seed: int
    plan_name: str
    plan_digest: str
    versions: dict[str, str]
    machine: Machine
    ceiling: Ceiling
    started_at: datetime
    ended_at: datetime
    interrupted: bool
    notes: tuple[str, ...]
    measured: Measured | None
    steps: tuple[Step, ...] = ()


def read_result(path: Path) -> LoadResult:
    """Return the result in a file.

    Raises:
        LoadError: it cannot be read, or is no result of `paperless load`.

    """
    try:
        return LoadResult.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise LoadError(f"{path}: cannot be read ({error}); name a file that `paperless load --json` wrote") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "(whole file)"
        raise LoadError(f"{path}, field {field}: {first['msg']}; make it anew with `paperless load --json`") from error


def this_machine() -> Machine:
    """Return what a reader must know of the machine."""
    return Machine(
        cores=psutil.cpu_count() or 1,
        cpu=_cpu_model(),
        memory=psutil.virtual_memory().total,
        system=platform.platform(),
        python=f"{platform.python_implementation()} {platform.python_version()}, {sys.platform}",
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
