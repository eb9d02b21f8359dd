"""Fault plans as data files, and what is wrong with one in words that say what to do."""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from services.vneid_mock.faults import FaultPlan

DEFAULT_PLAN = "mild"
_REMEDIES: Mapping[str, str] = {
    "missing": "add it",
    "float_type": "write a number",
    "greater_than_equal": "raise it",
    "less_than_equal": "lower it",
    "finite_number": "write a finite number",
}


class Problem(NamedTuple):
    """One fault of a plan: the key (dotted; empty: the plan as a whole), what is wrong, and what to do."""

    key: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.key or 'plan'}: {self.what}; {self.remedy}"


class PlanError(ValueError):
    """A plan cannot be used. The message reads `<source>, <key>: <what>; <what to do>`, one line per problem."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(f"{source}, {problem}" for problem in problems))
        self.source = source
        self.problems = problems


class UnknownPlanError(PlanError):
    """No packaged plan has this name."""


def plan_of(fields: Any, source: str) -> FaultPlan:
    """Return the plan of these fields.

    Raises:
        PlanError: an unknown key, a value out of its range, shares that sum above 1, an unknown database or province.

    """
    try:
        return FaultPlan.model_validate(fields)
    except ValidationError as error:
        raise PlanError(source, tuple(_problem(details) for details in error.errors())) from None


def load_plan(name_or_path: str = DEFAULT_PLAN) -> FaultPlan:
    """Return a packaged plan by name, or the plan of a TOML file by its path (anything that ends in `.toml`).

    Raises:
        PlanError: the file cannot be read or its plan cannot be used.
        UnknownPlanError: no packaged plan has this name.

    """
    return _plan_of_file(Path(name_or_path)) if name_or_path.endswith(".toml") else named_plan(name_or_path)


def named_plan(name: str) -> FaultPlan:
    """Return a packaged plan.

    Raises:
        UnknownPlanError: no packaged plan has this name.

    """
    plans = named_plans()
    if name not in plans:
        raise UnknownPlanError(name, (Problem("name", "no plan of this name", f"use one of {', '.join(plans)}"),))
    return plans[name]


@cache
def named_plans() -> Mapping[str, FaultPlan]:
    """The packaged plans by name, from the gentlest to the harshest by their share of troubled components."""
    folder = files("services.vneid_mock") / "plans"
    texts = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".toml")}
    plans = [plan_of_toml(text, file) for file, text in texts.items()]
    return {plan.name: plan for plan in sorted(plans, key=lambda plan: plan.late_answer_share)}


def plan_of_toml(text: str, file: str) -> FaultPlan:
    """Return the plan that a TOML text holds; `file` is named in errors.

    Raises:
        PlanError: it is no TOML, or its plan cannot be used.

    """
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(file, (Problem("", f"not TOML: {error}", "correct this line"),)) from None
    return plan_of(fields, file)


def _plan_of_file(path: Path) -> FaultPlan:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem("", f"cannot be read: {error}", f"check the path, or use one of {', '.join(named_plans())}")
        raise PlanError(str(path), (problem,)) from None
    return plan_of_toml(text, str(path))


def _problem(details: ErrorDetails) -> Problem:
    path = [str(part) for part in details["loc"] if part != "[key]"]
    key = ".".join(path)
    if details["type"] == "extra_forbidden":
        return Problem(key, "unknown key", _near(path[-1]))
    if details["type"] == "literal_error":
        return Problem(key, "no fault of that name", _near(path[-1]))
    what, _, remedy = details["msg"].removeprefix("Value error, ").partition("; ")
    what = what if details["type"] in {"missing", "value_error"} else f"{what} (got {details['input']!r})"
    return Problem(key, what, remedy or _REMEDIES.get(details["type"], "correct it"))


def _near(key: str) -> str:
    near = get_close_matches(key, FaultPlan.model_fields, n=1)
    return f"did you mean {near[0]}?" if near else f"use one of {', '.join(FaultPlan.model_fields)}"
