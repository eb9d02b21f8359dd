"""The page of the source documents: all that it names exists, files, parameters, facts, reforms, levers and rules."""

import csv
import re
from itertools import chain

from contracts.events import ApplicationDecided, ApplicationSubmitted
from contracts.topics import ALL
from domain import load_domain
from paperless.cli.main import Commands
from paperless.population.scenario import scenario_names
from services.intake.rules import RULES
from services.scoring.rates.definitions import DEFINITIONS
from tests.support.source import ROOT

PAGE = (ROOT / "docs" / "sources.md").read_text("utf-8")
DATA = ROOT / "domain" / "data"
DOMAIN = load_domain()
ROWS = re.findall(r"^\| (?!named|---)(.+?) \| (.+) \|$", PAGE, re.MULTILINE)
# The sections of the list of source documents, and how many systems, lists, rules and targets each has.
SECTIONS = {
    "Platforms and systems": 17,
    "Services, procedures, papers, lists": 22,
    "Databases and data quality": 21,
    "Counters, staff, people helped and learning": 20,
    "Targets, scoring, dates and reports": 15,
    "Fees, payments and social security": 6,
    "Organisation, law and programmes": 48,
}


def column(file: str, name: str) -> set[str]:
    with (DATA / file).open(encoding="utf-8", newline="") as stream:
        return {row[name] for row in csv.DictReader(stream)}


def known() -> set[str]:
    """Every name that the page may point to."""
    columns = {name for path in DATA.glob("*.csv") for name in path.read_text("utf-8").partition("\n")[0].split(",")}
    return {
        *(path.name for path in DATA.glob("*.csv")),
        *DOMAIN.parameters,
        *DOMAIN.facts,
        *DOMAIN.reforms,
        *DOMAIN.databases,
        *column("levers.csv", "name"),
        *columns,
        *(rule.name for rule in RULES),
        *scenario_names(),
        *DEFINITIONS,
        *chain(ApplicationSubmitted.model_fields, ApplicationDecided.model_fields, ["in_list_25"]),
        *(topic.name for topic in ALL),
        *(f"paperless {name}" for name in Commands.modules),
        "this type",
    }


def unknown(text: str, names: set[str]) -> list[str]:
    """Return what a text names that is not there; a path counts from the top."""
    named = re.findall(r"`([^`]+)`", text)
    return [name for name in named if name not in names and not ("/" in name and (ROOT / name).exists())]


def test_everything_that_the_page_names_is_there():
    assert unknown(PAGE, known()) == []


def test_what_is_gone_would_be_noticed():
    names = known()
    assert unknown("`no-paper-26`, `volume.share_25`, `services/nothing`, `papers.csv`", names) == [
        "no-paper-26",
        "volume.share_25",
        "services/nothing",
    ]


def test_each_named_thing_has_one_row_that_says_something():
    assert len({name for name, _ in ROWS}) == len(ROWS)
    assert all(len(where) >= len("as above") for _, where in ROWS)


def test_no_section_lost_a_row():
    found = {}
    for part in PAGE.split("\n## ")[1:]:
        title, _, text = part.partition("\n")
        found[title] = len(re.findall(r"^\| (?!named|---)", text, re.MULTILINE))
    assert {title: found[title] for title in SECTIONS} == SECTIONS


def test_every_reform_and_lever_has_its_place_on_the_page():
    quoted = set(re.findall(r"`([^`]+)`", PAGE))
    # What the counters recorded, which no source document names.
    assert set(DOMAIN.reforms) - quoted == {"more-dossiers"}
