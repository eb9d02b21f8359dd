"""A counted name is declared, and a declared name is counted."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from runtime.metrics import KERNEL_METRICS, Metric
from tests.guards.source import ROOT, modules, tree_of

SERVICES = ("intake", "vneid_mock", "scoring")
# Intake's handlers get the counting function itself; the mock's count kinds of one metric, not metrics.
PLAIN_COUNTERS = {"services/intake/handlers.py": "self._count"}


def declared(service: str) -> dict[str, Metric]:
    """Return the metrics that the processes of a service declare."""
    found: dict[str, Metric] = {}
    for path in modules(f"services/{service}"):
        if "METRICS" in path.read_text("utf-8"):
            module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            metrics = [metric for metric in getattr(module, "METRICS", ()) if isinstance(metric, Metric)]
            found |= {metric.name: metric for metric in metrics}
    return found


def counted(*packages: str) -> Iterator[tuple[str, ast.Call]]:
    for path in modules(*packages):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and node.args and _counts(path, node.func):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    yield str(first.value), node


def _counts(path: Path, function: ast.expr) -> bool:
    if ast.unparse(function) == PLAIN_COUNTERS.get(path.relative_to(ROOT).as_posix()):
        return True
    return (
        isinstance(function, ast.Attribute)
        and function.attr in {"count", "gauge", "observe"}
        and ast.unparse(function.value).endswith("metrics")
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_counts_only_declared_names(service):
    names = declared(service)
    calls = list(counted(f"services/{service}"))
    assert calls
    for name, call in calls:
        assert name in names, f"{name} is counted, but not declared"
        labels = {keyword.arg for keyword in call.keywords if keyword.arg not in {None, "amount"}}
        assert labels == set(names[name].labels), f"{name} has other labels"


def test_the_runtime_counts_only_kernel_metrics():
    names = {metric.name: metric for metric in KERNEL_METRICS}
    for name, call in counted("runtime"):
        assert {keyword.arg for keyword in call.keywords} == set(names[name].labels), name


def test_every_declared_metric_is_counted_somewhere():
    used = {name for name, _ in counted("runtime", "services")}
    everywhere = {metric.name for metric in KERNEL_METRICS}.union(*(declared(service) for service in SERVICES))
    assert everywhere - used == set()


def test_a_metrics_name_ends_in_its_unit():
    endings: dict[str, tuple[str, ...]] = {
        "counter": ("_total",),
        "histogram": ("_seconds", "_bytes"),
        "gauge": ("_records", "_paused", "_seconds", "_bytes"),
    }
    for metric in [*KERNEL_METRICS, *(metric for service in SERVICES for metric in declared(service).values())]:
        assert metric.name.endswith(endings[metric.kind]), metric.name
        assert metric.help.endswith("."), metric.name
