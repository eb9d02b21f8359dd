"""Each stage handles the records of a whole flow, under whatever meter it is given."""

import pytest

from benchmarks.stages import measure, stages_of, summary
from benchmarks.workload import PLAN

APPLICATIONS = 300


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    return list(stages_of(APPLICATIONS, PLAN, tmp_path_factory.mktemp("stores")))


def test_a_stage_handles_every_record_that_its_process_was_handed(stages):
    records = {stage.name: stage.records for stage in stages}
    assert records["driver"] == records["oracle"] == APPLICATIONS
    assert records["intake"] > APPLICATIONS
    assert records["mock"] > 0
    assert records["scoring"] == records["kernel"] >= APPLICATIONS


def test_every_stage_can_be_run_again_and_again(stages):
    rows = summary(stages, measure(stages, rounds=2), APPLICATIONS)
    assert list(rows) == ["driver", "kernel", "intake", "mock", "scoring", "oracle"]
    assert all(row["us_per_record"] > 0 for row in rows.values())
