"""The `paperless` command."""

from paperless.cli.main import main

__all__ = ["main"]
