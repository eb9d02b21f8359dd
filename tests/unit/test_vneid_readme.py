"""The mock's README says what the code does."""

import re
from importlib.resources import files

from contracts.errors import Reject
from services.vneid_mock.faults import FaultPlan, Faults
from services.vneid_mock.plan_files import named_plans
from services.vneid_mock.registry import PERSONAS

FOLDER = files("services.vneid_mock")
README = FOLDER.joinpath("README.md").read_text("utf-8")


def rows(block: str) -> list[list[str]]:
    """The cells of a table's body between two markers."""
    table = README.partition(f"<!-- {block} -->\n")[2].partition(f"<!-- /{block} -->")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_readme_lists_every_persona_with_its_promise():
    assert rows("personas") == [
        [f"`{number}`", f"`{persona.name}`", persona.sentence] for number, persona in PERSONAS.items()
    ]


def test_the_readme_states_each_plans_values_and_clock():
    expected = [
        [
            f"`{name}`",
            *(f"{getattr(plan, name):g}" for plan in named_plans().values()),
            "event time" if "answer" in name else "wall time",
        ]
        for name in Faults.model_fields
    ]
    unreachable = [" ".join(f"{key} {value:g}" for key, value in p.unreachable.items()) for p in named_plans().values()]
    expected.append(["`unreachable`", *(cell or "none" for cell in unreachable), "event time"])
    assert rows("faults") == expected


def test_each_described_share_names_the_clock_of_the_readme():
    for name, *_, clock in rows("faults"):
        description = FaultPlan.model_fields[name.strip("`")].description or ""
        if name.endswith("_share`"):
            assert f"({clock})" in description


def test_every_switch_has_a_section_that_explains_it():
    sections = README.partition("<!-- /faults -->")[2].partition("## Personas")[0]
    for name in [*Faults.model_fields, "unreachable"]:
        assert f"`{name}" in sections


def test_the_readme_lists_every_reason_for_a_refusal():
    source = "".join(FOLDER.joinpath(f"{name}.py").read_text("utf-8") for name in ("core", "registry"))
    reasons = set(re.findall(rf'{Reject.__name__}\("(\w+)"', source))
    assert len(reasons) == 6
    assert reasons <= set(re.findall(r"`(\w+)`", README.partition("## What it refuses")[2]))
