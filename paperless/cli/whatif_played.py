"""Settings of the levers played through the real services, and held against what the matrix says."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from paperless.cli.options import System
from paperless.local.layout import LocalOptions
from paperless.local.system import running
from paperless.supervise import COMMAND
from paperless.traffic.filing import file_days
from paperless.traffic.survey import survey
from paperless.verification.decisions import read_decisions
from paperless.verification.quiescence import Target
from paperless.verification.verify import RunParameters
from paperless.verification.verify import verify as run_verification
from paperless.whatif.facts import steps_of, write_facts
from paperless.whatif.levers import Setting
from paperless.whatif.model import Model
from paperless.whatif.prediction import Decided, Played, Prediction, compared, predict

USUAL_APPLICATIONS = 2_000


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of settings that were played, in their order, and whether the system was in order afterwards."""

    played: tuple[Played, ...]
    verified: bool

    @property
    def ok(self) -> bool:
        """Whether every application came to what was predicted, and nothing was lost, counted twice or wrong."""
        return self.verified and all(each.equal for each in self.played)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; of one setting, as the command plays it."""
        (played,) = self.played
        return {**played.to_json(), "verified": self.verified}


def rehearse(model: Model, setting: Setting, plan: str, state: Path) -> Rehearsal:
    """Play a setting through the services of a system of its own, which is stopped afterwards.

    Args:
        model: whose day is filed.
        setting: of the levers.
        plan: the name or path of the model's fault plan.
        state: the directory of the system; its logs stay.

    Raises:
        LeverError: no such lever, or no such value of it.
        LocalSystemError: the system does not start, or stops.
        VerifyError: it does not come to rest.

    """
    day = model.day
    prediction = predict(day, setting, model.levers, model.plan)
    with TemporaryDirectory() as folder:
        facts = Path(folder)
        write_facts(facts, steps_of(prediction.usual, prediction.world.day))
        options = LocalOptions(state_dir=state, seed=day.seed, plan=plan, applications=day.applications, facts=facts)
        parameters = RunParameters(plan=model.plan.model_dump(mode="json"), seed=day.seed, facts=facts)
        with running(options, COMMAND, lambda _: None) as local:
            system = System.of(local)
            return asyncio.run(system.watched(play([prediction], system.target, parameters)))


async def play(predictions: Sequence[Prediction], target: Target, parameters: RunParameters) -> Rehearsal:
    """File what was predicted, each prediction of another day, wait until it is decided, and compare.

    Args:
        predictions: what is filed.
        target: a system whose services have the facts of all these days.
        parameters: by which the system is verified.

    Raises:
        VerifyError: the system does not come to rest.

    """
    partitions = (await survey(target.kafka)).partitions
    await file_days([(each.usual.date, each.submissions) for each in predictions], target.kafka, partitions)
    verdict = await run_verification(target, partitions=partitions, parameters=parameters)
    decisions = await read_decisions(target.kafka, partitions)
    services = {name: Decided(each.outcome, tuple(sorted(each.reasons))) for name, each in decisions.items()}
    return Rehearsal(tuple([compared(each.decided, services) for each in predictions]), verdict.ok)
