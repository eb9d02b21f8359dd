"""The reasons of dead letters, as the code has them."""

import ast

from contracts.errors import UNREADABLE
from tests.support.source import modules, name_of, tree_of

# The portal refuses before anything is written: no dead letters.
_ROOMS = ("contracts/", "runtime/", "services/")
_NOT = ("services/portal/",)


def reasons() -> set[str]:
    """Every reason for which a record can be refused."""
    calls = [
        node
        for path in modules()
        if name_of(path).startswith(_ROOMS) and not name_of(path).startswith(_NOT)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
    ]
    return {UNREADABLE} | {reason for call in calls if (reason := _reason(call))}


def _reason(call: ast.Call) -> str | None:
    """The first argument of `Reject(…)`, or of `super().__init__(…)` in what is derived from it, where it is a slug."""
    named = isinstance(call.func, ast.Name) and call.func.id == "Reject"
    derived = isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"
    if not (named or derived) or not call.args or not isinstance(call.args[0], ast.Constant):
        return None
    return str(call.args[0].value)
