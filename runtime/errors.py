"""The error that ends a process."""


class FatalError(RuntimeError):
    """Going on would lose or repeat records silently; the process must stop and say why (exit code 78)."""
