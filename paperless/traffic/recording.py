"""The record of a run that sends: its manifest, written before the first application and again at the end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paperless.population.scenario import Scenario
from paperless.traffic.manifest import DaySent, Manifest, Status, plan_digest, versions, write_manifest
from paperless.traffic.survey import LogSurvey


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a run's manifest says beside what was played: the mock's whole fault `plan`, intake's `rules_version`."""

    path: Path
    run_id: str
    plan_name: str
    plan: Mapping[str, Any]
    rules_version: int

    def begin(self, log: LogSurvey, scenario: Scenario, days: tuple[DaySent, ...], *, seed: int, pace: str) -> Manifest:
        """Write the manifest of a run that is about to send; `seed` is the one that the mock answers by.

        Raises:
            ManifestError: it cannot be written.

        """
        manifest = Manifest(
            run_id=self.run_id,
            seed=seed,
            plan_name=self.plan_name,
            plan=dict(self.plan),
            plan_digest=plan_digest(self.plan),
            scenario=scenario,
            pace=pace,
            days=days,
            log_identity=log.identity,
            partitions=log.partitions,
            start_offsets=dict(log.start_offsets),
            rules_version=self.rules_version,
            versions=versions(),
            started_at=datetime.now(UTC),
        )
        write_manifest(manifest, self.path)
        return manifest

    def end(self, manifest: Manifest, status: Status, days: tuple[DaySent, ...]) -> None:
        """Write how it ended; raises as `begin`."""
        ended = {"status": status, "days": days, "ended_at": datetime.now(UTC)}
        write_manifest(manifest.model_copy(update=ended), self.path)
