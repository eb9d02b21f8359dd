"""There is one way to make an HTTP client: another would go through whatever proxy the environment names."""

import ast
from collections.abc import Iterator

from tests.support.source import modules, name_of, tree_of

ALLOWED = "paperless/http_client.py"
MADE_WITH = {"Client", "AsyncClient", "get", "post", "put", "patch", "delete", "head", "options", "request", "stream"}
OTHERS = {"aiohttp", "http.client", "requests", "urllib3", "urllib.request"}


def clients(tree: ast.Module) -> Iterator[str]:
    """Yield every client that is made; with a transport of its own it reaches an app in this process, or nobody."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in OTHERS)
        elif isinstance(node, ast.ImportFrom):
            names = {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
            yield from names & {*OTHERS, *(f"httpx.{name}" for name in MADE_WITH)}
        elif isinstance(node, ast.Call) and not any(given.arg == "transport" for given in node.keywords):
            made = ast.unparse(node.func)
            if made in {f"httpx.{name}" for name in MADE_WITH}:
                yield f"{made} in line {node.lineno}"


def test_every_http_client_is_made_in_one_place():
    packages = ("benchmarks", "contracts", "domain", "examples", "runtime", "services", "paperless", "tests", "tools")
    found = {name_of(path): made for path in modules(*packages) if (made := list(clients(tree_of(path))))}
    assert len(found.pop(ALLOWED)) == 2
    assert found == {}
