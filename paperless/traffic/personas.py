"""Invented people, each with an application and what it must come to."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from contracts.events import Outcome


class PersonaError(ValueError):
    """Nobody has this name; lists who there is."""


class Persona(BaseModel):
    """`application` is the data to file, without an id; `expects` are outcomes, any of which is right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    who: str
    story_vi: str
    story_en: str
    expects: tuple[Outcome, ...]
    presumed: Literal[True, False] = False
    application: Mapping[str, Any]


@cache
def personas() -> Mapping[str, Persona]:
    """Return all of them by name, in the file's order."""
    tables = tomllib.loads((files("paperless.traffic") / "personas.toml").read_text("utf-8"))
    # Null where no fee is due, which TOML cannot say.
    common = {"fee_paid_online": None, **tables["common"]}
    return {
        name: Persona(**{**table, "name": name, "application": {**common, **table["application"]}})
        for name, table in tables["personas"].items()
    }


def persona(name: str) -> Persona:
    """Return a person by name.

    Raises:
        PersonaError: nobody has it.

    """
    known = personas()
    if name not in known:
        raise PersonaError(f"no persona {name!r}; {known_personas()}")
    return known[name]


def known_personas() -> str:
    """Return who there is, as a part of a sentence."""
    return "there are: " + "; ".join(f"{each.name} ({each.who})" for each in personas().values())
