"""`paperless replay`: a scoring store made anew from the log."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from paperless.cli.options import API, DEFAULT_STATE, Api, Json, Kafka, State, System, find_system
from paperless.cli.output import clear_json, make_console, write_json
from paperless.operations.replay import Replay, ReplayError, check_fresh, compared
from paperless.operations.replay import replay as rebuild
from paperless.verification.scoring_client import async_client
from runtime.errors import FatalError
from runtime.settings import read_settings
from services.scoring.settings import ScoringSettings
from services.scoring.store.errors import StoreError
from services.scoring.store.store import Store

PROGRESS_EVERY_S = 2.0
MAX_NAMED = 20


def replay(
    store: Annotated[
        str, typer.Option(help="Where to: a path, sqlite:///PATH or postgresql://USER@HOST/DATABASE; empty, or new.")
    ],
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    api: Api = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Compare its cells and fingerprints with the live store's; exit 1 if not equal."
        ),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a replay that was interrupted.")] = False,
    json: Json = None,
) -> None:
    """Rebuild a scoring store from `applications.decided`, from the log's start to its end as it is now.

    The password of a database's user comes from SCORING_STORE_PASSWORD or the file SCORING_STORE_PASSWORD_FILE.

    Example: `paperless replay --store build/again.db --compare`
    """
    clear_json(json)
    system = find_system(state, kafka, api, None)
    address = store if "://" in store else f"sqlite:///{Path(store).absolute()}"
    try:
        password = read_settings(ScoringSettings).store_password
        with Store(address, password=password) as opened:
            check_fresh(opened, resume=resume)
            began = time.monotonic()
            result, differences = asyncio.run(_run(system, opened, compare=compare))
            seconds = time.monotonic() - began
    except (StoreError, FatalError, ValueError) as error:
        raise ReplayError(str(error)) from error
    report = _report(result, differences, seconds)
    _print(report, differences)
    write_json(json, report)
    if differences:
        raise typer.Exit(1)


async def _run(system: System, store: Store, *, compare: bool) -> tuple[Replay, list[str] | None]:
    show = _progress()
    if not compare:
        return await rebuild(system.broker, store, show), None
    async with async_client(system.url(API, "--api URL"), timeout_s=60) as api:
        return await compared(system.broker, store, api, show)


def _progress() -> Callable[[int, int], None]:
    """Return what says how far it is, on standard error, at most every few seconds."""
    console = make_console(stderr=True)
    began = said_at = time.monotonic()

    def show(read: int, total: int) -> None:
        nonlocal said_at
        now = time.monotonic()
        if now - said_at >= PROGRESS_EVERY_S:
            said_at = now
            console.print(f"replayed {read:,} of {total:,} outcomes, {read / (now - began):,.0f}/s")

    return show


def _report(result: Replay, differences: list[str] | None, seconds: float) -> dict[str, Any]:
    fingerprints = result.snapshot.fingerprints.values()
    return {
        "outcomes": result.outcomes,
        "refused": dict(result.refused),
        "applications": sum(each.applications for each in fingerprints),
        "cells": len(result.snapshot.cells),
        "offsets": {str(number): offset for number, offset in sorted(result.offsets.items())},
        "seconds": round(seconds, 3),
        "compared": None if differences is None else "different" if differences else "equal",
        "differences": differences or [],
    }


def _print(report: dict[str, Any], differences: list[str] | None) -> None:
    console = make_console()
    rate = report["outcomes"] / max(report["seconds"], 0.001)
    console.print(f"replayed {report['outcomes']:,} outcomes in {report['seconds']:.1f} s, {rate:,.0f}/s")
    console.print(f"  applications  {report['applications']:>9,}")
    console.print(f"  cells         {report['cells']:>9,}")
    for reason, count in report["refused"].items():
        console.print(f"  left out      {count:>9,}  {reason}")
    if differences is not None:
        console.print(f"live store {'≠' if differences else '='} replay")
    for line in (differences or [])[:MAX_NAMED]:
        console.print(f"  - {line}", markup=False, soft_wrap=True)
