"""The run's manifest: what a later check can rely on."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from domain import load_domain
from paperless.population.scenario import load_scenario
from paperless.traffic.manifest import (
    DaySent,
    Manifest,
    ManifestError,
    plan_digest,
    read_manifest,
    versions,
    write_manifest,
)


def manifest() -> Manifest:
    plan = {"late_answer_share": 0.02, "overrides": [{"database": "dat_dai"}]}
    return Manifest(
        run_id="run-1",
        seed=2**64 - 1,
        plan_name="mild",
        plan=plan,
        plan_digest=plan_digest(plan),
        scenario=load_scenario("twenty-five", load_domain()),
        pace="max",
        days=(DaySent(day=date(2025, 10, 8), planned=10, sent=4), DaySent(day=date(2025, 10, 9), planned=10, sent=3)),
        log_identity="log-1",
        partitions=2,
        start_offsets={0: 5, 1: 0},
        rules_version=1,
        versions=versions(),
        started_at=datetime(2025, 10, 8, tzinfo=UTC),
    )


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path):
    path = tmp_path / "new" / "manifest.json"
    write_manifest(manifest(), path)
    assert read_manifest(path) == manifest()
    assert [entry.name for entry in path.parent.iterdir()] == ["manifest.json"]


def test_a_manifest_counts_what_all_days_sent():
    assert manifest().sent == 7


def test_a_failed_write_leaves_the_old_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "manifest.json"
    write_manifest(manifest(), path)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(ManifestError, match=r"No space left on device.*free some space"):
            write_manifest(manifest().model_copy(update={"status": "sent"}), path)
    assert read_manifest(path).status == "sending"
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.json"]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"taken/manifest\.json: cannot be written.*choose a folder"):
        write_manifest(manifest(), tmp_path / "taken" / "manifest.json")


def test_a_missing_manifest_says_what_writes_one(tmp_path: Path):
    with pytest.raises(ManifestError, match="no manifest; `paperless send` writes one"):
        read_manifest(tmp_path / "manifest.json")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("{", "", "whole file"),
        ('"seed"', '"sed"', "field seed"),
        ('"manifest_version": 1', '"manifest_version": 9', "field manifest_version"),
        ('"0": 5', '"0": -5', "field start_offsets.0"),
    ],
)
def test_a_damaged_manifest_names_the_field(tmp_path: Path, old: str, new: str, field: str):
    path = tmp_path / "manifest.json"
    write_manifest(manifest(), path)
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ManifestError, match=field):
        read_manifest(path)


def test_a_plan_changed_by_hand_has_another_digest():
    plan = manifest().plan
    assert plan_digest(dict(reversed(plan.items()))) == plan_digest(plan)
    assert plan_digest(plan | {"late_answer_share": 0.03}) != plan_digest(plan)
