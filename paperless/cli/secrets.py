"""`paperless secrets`: random secrets for a system that has none yet, one file each."""

import os
import secrets as randomness
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from paperless.local.errors import StateDirectoryError

# 256 bits; as text 43 characters that need no quoting in a URL, a shell or SQL.
SECRET_BYTES = 32
# Readable by the group: PostgreSQL runs as another user.
MODE = 0o440

Directory = Annotated[Path, typer.Option("--dir", help="Where the files are; one folder for each reader.")]
Names = Annotated[list[str], typer.Argument(help="Files below it, for example intake/signing_key.")]


def secrets(names: Names, directory: Directory = Path("deploy/secrets")) -> None:
    """Write a random secret into each of these files that does not exist; what exists stays as it is.

    Example: `paperless secrets intake/signing_key scoring/store_password`
    """
    console = Console(highlight=False)
    for name in names:
        console.print(f"{name}: {'created' if create_secret(directory / name) else 'present'}")


def create_secret(path: Path) -> bool:
    """Write a random secret, unless the file exists; return whether it was written.

    Raises:
        StateDirectoryError: the folder cannot be written, or the file is empty.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            return _present(path)
        # A crash between the two leaves a file that nobody reads, never half a secret.
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(randomness.token_urlsafe(SECRET_BYTES), encoding="ascii")
        draft.chmod(MODE)
        draft.rename(path)
    except OSError as error:
        raise StateDirectoryError(
            f"secret {path}: {error.strerror}; give this user the right to write, or put the file there yourself"
        ) from error
    return True


def _present(path: Path) -> bool:
    if path.stat().st_size == 0:
        raise StateDirectoryError(f"secret {path}: the file is empty; remove it, or put the secret into it")
    return False
