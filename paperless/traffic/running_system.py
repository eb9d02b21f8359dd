"""What may be sent to a system that runs already: its mock's seed and plan hold, and one log has one of each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paperless.traffic.manifest import ManifestError, plan_digest, read_manifest
from paperless.traffic.survey import LogSurvey
from paperless.verification.verify import VerifyError
from services.vneid_mock.plan_files import load_plan


def check_mock(mock: Mapping[str, Any], *, seed: int | None, plan: str | None) -> None:
    """Compare a mock's answer to `GET /plan` with the seed and the plan that are asked for, None: with neither.

    Raises:
        VerifyError: it runs with another seed or plan.

    """
    has = f"the running mock has seed {mock['seed']}, fault plan {mock['plan']['name']}"
    if seed is not None and seed != mock["seed"]:
        raise VerifyError(f"{has}; leave --seed out, or start the mock with VNEID_SEED={seed}")
    if plan is not None and load_plan(plan).model_dump(mode="json") != mock["plan"]:
        raise VerifyError(f"{has}; leave --plan out, or start the mock with VNEID_PLAN={plan}")


def earlier_submissions(log: LogSurvey, mock: Mapping[str, Any], manifest: Path) -> int:
    """Return how many submissions the log holds that a run with this mock may follow.

    One log can be verified against one seed and one fault plan, because an oracle cannot see which submission a mock
    answered with which; so a second run must go on with those of the first, which `manifest` describes if it exists.

    Raises:
        ManifestError: the log holds a run with another seed or fault plan.

    """
    earlier = sum(log.start_offsets.values())
    if not earlier or not manifest.exists() or mock.get("changed_by_hand"):
        return earlier
    before = read_manifest(manifest)
    same = (before.seed, before.plan_digest) == (mock["seed"], plan_digest(mock["plan"]))
    if before.log_identity == log.identity and not same:
        raise ManifestError(
            f"the log holds {earlier:,} submissions that were answered with seed {before.seed}, fault plan"
            f" {before.plan_name}; the mock now has seed {mock['seed']}, fault plan {mock['plan']['name']}, and one log"
            " can be verified against one of them only: go back to the first, or start with an empty log"
        )
    return earlier
