"""Services ask broker and store no more often than the kept counts say, and records are no larger.

A count that grew on purpose is kept with `python -m benchmarks check --renew`; the commit says why it grew.
"""

import pytest

from benchmarks.baseline import BASELINE, Baseline, compare, measure


@pytest.mark.slow(reason="sends 20,000 applications through the whole flow, so that a small growth is seen")
@pytest.mark.timeout(180)
def test_no_count_of_requests_statements_or_bytes_grew():
    changes = compare(Baseline.model_validate_json(BASELINE.read_bytes()), measure())
    assert len(changes) >= 40
    assert [f"{name}: {now} instead of {before}" for name, before, now, verdict in changes if verdict == "grew"] == []
