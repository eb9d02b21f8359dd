"""The accepted draws of the assumed values, as the file `domain/data/accepted_draws.toml` keeps them. Pure."""

import tomllib
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple, cast

from domain import Authority, accepted_draws_text
from paperless.fidelity.calibration import Draw

AUTHORITIES: tuple[Authority, ...] = ("province", "ministry")


class AcceptedDraws(NamedTuple):
    """Draws with how they came about; the first is the one that runs use."""

    seed: int
    command: str
    parameters: tuple[str, ...]
    draws: tuple[Draw, ...]


def to_toml(parameters: Sequence[str], draws: Sequence[Draw], *, seed: int, command: str) -> str:
    """Return the text of the file; rates are in the order of its days, provinces before ministries."""
    days = sorted({day for day, _ in draws[0].rates})
    head = [
        "# Values of assumed parameters that all come to the fitted figures of targets.csv; the first ones are in use.",
        f"command = {command!r}",
        f"seed = {seed}",
        f"parameters = [{', '.join(map(repr, parameters))}]",
        f"days = [{', '.join(map(str, days))}]",
    ]
    body = []
    for draw in draws:
        rates = [draw.rates[day, authority] for day in days for authority in AUTHORITIES]
        values = f"{', '.join(f'{value:g}' for value in draw.values)}"
        body += ["", "[[draw]]", f"values = [{values}]", f"rates = [{', '.join(f'{rate:.4f}' for rate in rates)}]"]
    return "\n".join([*head, *body]) + "\n"


def read_accepted_draws(text: str | None = None) -> AcceptedDraws:
    """Return the accepted draws of a text; None means the packaged ones."""
    table = tomllib.loads(text if text is not None else accepted_draws_text())
    keys = [(cast("date", day), authority) for day in table["days"] for authority in AUTHORITIES]
    draws = [
        Draw(tuple(map(float, each["values"])), dict(zip(keys, each["rates"], strict=True))) for each in table["draw"]
    ]
    return AcceptedDraws(table["seed"], table["command"], tuple(table["parameters"]), tuple(draws))
