"""`paperless secrets`: random secrets for a system that has none yet."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from paperless.operations.secrets import create_secret

Directory = Annotated[Path, typer.Option("--dir", help="Where the files are; one folder for each reader.")]
Names = Annotated[list[str], typer.Argument(help="Files below it, for example intake/signing_key.")]


def secrets(names: Names, directory: Directory = Path("deploy/secrets")) -> None:
    """Write a random secret into each of these files that does not exist; what exists stays as it is.

    Example: `paperless secrets intake/signing_key scoring/store_password`
    """
    console = Console(highlight=False)
    for name in names:
        console.print(f"{name}: {'created' if create_secret(directory / name) else 'present'}")
