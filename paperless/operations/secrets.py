"""Random secrets for a system that has none yet, one file each."""

import os
import secrets as randomness
from pathlib import Path

# 256 bits; as text 43 characters that need no quoting in a URL, a shell or SQL.
SECRET_BYTES = 32
# Readable by the group: PostgreSQL runs as another user.
MODE = 0o440


class SecretError(RuntimeError):
    """A secret cannot be written, or its file is empty; the message says what to do."""


def create_secret(path: Path) -> bool:
    """Write a random secret, unless the file exists; return whether it was written.

    Raises:
        SecretError: the folder cannot be written, or the file is empty.

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
        raise SecretError(
            f"secret {path}: {error.strerror}; give this user the right to write, or put the file there yourself"
        ) from error
    return True


def _present(path: Path) -> bool:
    if path.stat().st_size == 0:
        raise SecretError(f"secret {path}: the file is empty; remove it, or put the secret into it")
    return False
