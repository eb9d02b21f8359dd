"""The run's manifest: what was sent, from where on, by which plan; `verify` needs no memory of the sender."""

import errno
import os
import platform
import tempfile
from collections.abc import Mapping
from datetime import date, datetime
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from paperless.population.scenario import Scenario

_PACKAGES = ("paperless", "aiokafka", "faststream", "pydantic")

Status = Literal["sending", "sent", "stopped", "failed"]
Count = Annotated[int, Field(ge=0)]


class ManifestError(ValueError):
    """A manifest that is absent, unreadable or cannot be written; names the file and the field, and what to do."""


class DaySent(BaseModel):
    """What was sent of one simulated day; `first_at` and `last_at` are event times, null while nothing was sent."""

    model_config = ConfigDict(frozen=True)

    day: date
    planned: Count
    sent: Count = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


class Manifest(BaseModel):
    """One run of the driver.

    `plan` is the mock's whole fault plan at the start and `plan_digest` names it, so that a change by hand is seen.
    `start_offsets` are the ends of the partitions of `applications.submitted` before the first record was sent.
    `status`: `sending` (also after a crash of the sender), `sent`, `stopped` (by the user) or `failed`. Times
    `started_at` and `ended_at` are wall time.
    """

    model_config = ConfigDict(frozen=True)

    manifest_version: Literal[1] = 1
    run_id: Annotated[str, Field(min_length=1, max_length=128)]
    status: Status = "sending"
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    plan_name: str
    plan: dict[str, Any]
    plan_digest: str
    scenario: Scenario
    pace: str
    days: tuple[DaySent, ...]
    log_identity: str | None
    partitions: Annotated[int, Field(ge=1)]
    start_offsets: dict[int, Count]
    rules_version: Annotated[int, Field(ge=1)]
    versions: dict[str, str]
    started_at: datetime
    ended_at: datetime | None = None

    @property
    def sent(self) -> int:
        """Applications that the broker has acknowledged."""
        return sum(day.sent for day in self.days)


def plan_digest(plan: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that name a plan, whatever the order of its keys."""
    return blake2b(to_json(_sorted(dict(plan))), digest_size=8).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and the packages that a run depends on."""
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write atomically: a reader sees the old manifest or the new one.

    Raises:
        ManifestError: the folder cannot be written or the disk is full.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(manifest.model_dump_json(indent=2) + "\n")
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        remedy = "free some space" if error.errno == errno.ENOSPC else "choose a folder that you may write to"
        raise ManifestError(f"{path}: cannot be written ({error.strerror}); {remedy}") from error


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a run.

    Raises:
        ManifestError: no such file, no JSON, or a field that is missing or wrong.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ManifestError(f"{path}: no manifest; `paperless send` writes one, or name another file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read ({error}); check its rights") from error
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        raise ManifestError(
            f"{path}, field {field}: {first['msg']}; the file is damaged or of another version, so send again"
        ) from error


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list | tuple) else value
