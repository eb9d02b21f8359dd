"""From a folder of CSV files to a ``Domain``; plain csv, because five processes pay for it."""

import os
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from domain.catalogue import Domain
from domain.procedures import read_procedures
from domain.readers import (
    read_communes,
    read_databases,
    read_facts,
    read_holidays,
    read_index,
    read_observations,
    read_outages,
    read_papers,
    read_parameters,
    read_profiles,
    read_provinces,
    read_targets,
)
from domain.reform_files import read_reforms
from domain.tables import Folder

# Names a folder with other facts than the packaged ones; all processes of a system must be given the same.
FOLDER_VARIABLE = "PAPERLESS_DOMAIN"


@cache
def load_domain() -> Domain:
    """The facts that this process works with, loaded once: the packaged ones, or those of `PAPERLESS_DOMAIN`."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return load(Path(folder) if folder else None)


def packaged_facts() -> Folder:
    """The folder of the packaged data files."""
    return files("domain") / "data"


def accepted_draws_text() -> str:
    """The packaged draws of assumed values that come to the fitted figures (`paperless calibrate`)."""
    return (files("domain") / "data" / "accepted_draws.toml").read_text("utf-8")


def load(folder: Folder | None = None) -> Domain:
    """Read and check every data file; None means the packaged ones.

    Raises ``DomainError`` with file, row and field for whatever is broken: types, ranges,
    duplicate keys, references between files, commune counts, sums of weights, steps of reforms.
    """
    folder = folder if folder is not None else packaged_facts()
    pairs = read_provinces(folder)
    provinces = MappingProxyType({province.code: province for _, province in pairs})
    databases = read_databases(folder)
    papers = read_papers(folder, databases)
    observations = read_observations(folder, {province.h_code for province in provinces.values()})
    domain = Domain(
        provinces=provinces,
        communes=read_communes(folder, pairs),
        databases=databases,
        procedures=read_procedures(folder, databases, papers),
        papers=papers,
        parameters=read_parameters(folder),
        facts=read_facts(folder),
        profiles=read_profiles(folder, provinces),
        observations=observations,
        targets=read_targets(folder, observations),
        outages=read_outages(folder),
        holidays=read_holidays(folder),
        index=read_index(folder),
        reforms=MappingProxyType({}),
    )
    _check_parameters(domain)
    return replace(domain, reforms=read_reforms(folder, domain))


def _check_parameters(domain: Domain) -> None:
    """Ask for what needs parameters, so that a missing one fails now and not in the middle of a run."""
    domain.mix()
    domain.calendar  # noqa: B018 - built here for its checks, and kept
    domain.correction_desk  # noqa: B018 - as above
