"""Running a variant in a process of its own, with its own interpreter where it has one."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from benchmarks.commands import ROOT, CommandError, run_command
from benchmarks.errors import NotAvailableError, VariantError
from benchmarks.peers.job import Job, Measurement

PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
# Many times what the slowest of them takes.
WITHIN_S = 180.0
IMPORT_WITHIN_S = 60.0


class Variant(NamedTuple):
    """A module of `benchmarks.peers`, or a program that is compiled.

    Attributes:
        name: of the module or the program.
        share: of the records that the kernel gets; a slow one need not copy all of them, as rates are compared.
        python: its interpreter, None for this one.
        compiled: builds the program and returns its command line without the job; None for a module.

    """

    name: str
    share: float = 1.0
    python: Path | None = None
    compiled: Callable[[], Sequence[str]] | None = None

    def records(self, records: int) -> int:
        """Return how many records it copies, where the kernel copies so many."""
        return max(int(records * self.share), 1)

    def command(self, job: Job) -> list[str]:
        """Return the command line for a job; builds what is compiled, with the errors of `check_installed`."""
        if self.compiled:
            return [*self.compiled(), job.to_json()]
        return [str(self.python or sys.executable), "-m", f"benchmarks.peers.{self.name}", job.to_json()]

    def check_installed(self) -> None:
        """See that it can run here; builds what is compiled.

        Raises:
            NotAvailableError: its interpreter, its compiler or a library is missing; says what to do.
            VariantError: it does not compile.

        """
        if self.compiled:
            self.compiled()
        if self.python:
            _check_imports(self.python, self.name)


@cache
def _check_imports(python: Path, name: str) -> None:
    """Raise `NotAvailableError` where an interpreter is missing, or its environment is older than a peer."""
    place = python.parent.parent.name
    if not python.exists():
        raise NotAvailableError(f"{name}: {place} is missing; install it with `make {place}/.done`")
    try:
        run_command([str(python), "-c", f"import benchmarks.peers.{name}"], _environment(), IMPORT_WITHIN_S)
    except CommandError as error:
        reason = str(error).splitlines()[-1]
        raise NotAvailableError(
            f"{name}: {place} cannot run it ({reason}); renew it with `make {place}/.done`"
        ) from error


async def run(variant: Variant, job: Job, within_s: float = WITHIN_S) -> Measurement:
    """Run a variant to its end and return what it measured.

    Raises:
        VariantError: it is not installed, failed, or did not end in time.

    """
    variant.check_installed()
    command = variant.command(job)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=_environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), within_s)
    except TimeoutError as error:
        raise VariantError(f"{variant.name}: {job.records} records were not copied in {within_s:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise VariantError(f"{variant.name} ended with {process.returncode}: {errors.decode()[-2_000:]}")
    return Measurement(**json.loads(output.decode().splitlines()[-1]))


def _environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
