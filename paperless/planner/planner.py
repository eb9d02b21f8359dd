"""Answers what-if questions: draws days in the background, and keeps those that were asked about last."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperless.planner.jobs import Jobs, Working
from paperless.planner.playing import played
from paperless.planner.questions import Question
from paperless.whatif.levers import LeverError

if TYPE_CHECKING:
    from paperless.whatif.model import Model

# The country and two provinces: some 50 MB each.
MODELS_KEPT = 3
SPREADS_KEPT = 50

Load = Callable[[str | None], "Model"]
Told = dict[str, Any]


def loader(cache: Path | None) -> Load:
    """Return what draws the day of a province, or of the country, as `paperless whatif` draws it by default."""

    def load(province: str | None) -> "Model":
        from paperless.whatif.model import load_model  # noqa: PLC0415  numpy is loaded when somebody asks

        return load_model(province=province, cache=cache)

    return load


class Planner:
    """Answers questions; all values are those of `paperless whatif --json` to the same question.

    Args:
        load: draws the day of a province, or of the country (None); some seconds.
        play: plays a setting through the services of a system of its own; None: none can be started here.

    """

    def __init__(self, load: Load, play: Callable[[Question], Told] | None = played) -> None:
        self._load, self._play = load, play
        self._played: Jobs[Told] = Jobs(SPREADS_KEPT)
        self._models: Jobs[Model] = Jobs(MODELS_KEPT)
        self._spreads: Jobs[Told] = Jobs(SPREADS_KEPT)
        # An evaluator keeps what it worked out last: one thread asks all of them, one question after the other.
        self._asking = ThreadPoolExecutor(1)

    async def levers(self) -> Told:
        """Return all levers with range, source, evidence mark and cost; needs no day."""
        return {**await asyncio.to_thread(_levers), "plays": self._play is not None}

    async def answer(self, question: Question) -> Told | Working:
        """Return D1 in the setting, by authority and province, beside the base; some 10 ms once the day is drawn."""
        return await self._asked(question.province, lambda model: _answer(model, question))

    async def target(self, question: Question) -> Told | Working:
        """Return what reaches the target from today, and each lever's gain."""
        return await self._asked(question.province, lambda model: _target(model, question))

    async def uncertainty(self, question: Question) -> Told | Working:
        """Return the spread of the answer over the accepted draws of the assumed values; some seconds."""
        model = self._model(question.province)
        return model if isinstance(model, Working) else self._spreads.get(question, lambda: _spread(model, question))

    async def play(self, question: Question) -> Told | Working:
        """Return what came of the setting when it was played through the real services; about a minute.

        Raises:
            LeverError: no system can be started here.
            PlayError: it could not be played.

        """
        play = self._play
        if play is None:
            raise LeverError("no system can be started here; type `paperless whatif --play` where one can")
        return self._played.get(question, lambda: play(question))

    async def _asked(self, province: str | None, work: Callable[["Model"], Told]) -> Told | Working:
        model = self._model(province)
        if isinstance(model, Working):
            return model
        return await asyncio.get_running_loop().run_in_executor(self._asking, work, model)

    def _model(self, province: str | None) -> "Model | Working":
        return self._models.get(province, lambda: _ready(self._load(province)))

    def close(self) -> None:
        """Take no further question."""
        self._models.close()
        self._spreads.close()
        self._played.close()
        self._asking.shutdown(wait=False, cancel_futures=True)


def _levers() -> Told:
    from paperless.whatif.levers import BASE, BEST, load_costs, load_levers  # noqa: PLC0415  reads files

    costs = load_costs()
    return {
        "levers": [
            {
                "name": lever.name,
                **dict(zip(("name_vi", "name_en"), lever.names, strict=True)),
                **dict(zip(("best_vi", "best_en"), lever.bests, strict=True)),
                **dict(zip(("owner_vi", "owner_en"), lever.owners, strict=True)),
                "low": BASE,
                "high": BEST,
                "whole": lever.whole,
                "source": lever.source,
                "evidence": lever.evidence,
                "cost": costs[lever.name],
            }
            for lever in load_levers().values()
        ]
    }


def _ready(model: "Model") -> "Model":
    """Work out what later answers rest on, so that each of them takes milliseconds."""
    from paperless.whatif.answer import answer  # noqa: PLC0415  as in `loader`

    answer(model, target=1)
    return model


def _answer(model: "Model", question: Question) -> Told:
    from paperless.whatif.answer import answer  # noqa: PLC0415  as in `loader`

    told = answer(model, question.setting, run_by=question.run_by).to_json()
    # Texts that `levers` gives once.
    del told["levers"], told["target"], told["uncertainty"]
    return told


def _target(model: "Model", question: Question) -> Told:
    from paperless.whatif.answer import answer  # noqa: PLC0415  as in `loader`

    found = answer(model, target=question.target, run_by=question.run_by).to_json()
    gains = ("name", "alone", "last", "shapley")
    return {"target": found["target"], "gains": [{name: row[name] for name in gains} for row in found["levers"]]}


def _spread(model: "Model", question: Question) -> Told:
    from paperless.whatif.answer import answer  # noqa: PLC0415  as in `loader`
    from paperless.whatif.evaluator import Evaluator  # noqa: PLC0415

    # With an evaluator of its own: this takes seconds, in which others go on asking.
    apart = replace(model, evaluator=Evaluator(model.evaluator.matrix))
    found = answer(apart, question.setting, target=question.target, run_by=question.run_by, uncertain=True).uncertainty
    assert found is not None  # noqa: S101  it was asked for
    return asdict(found)
