"""What the files under deploy/observe ask Prometheus for, and what the services declare."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import yaml

from runtime.metrics import BUILD_INFO, KERNEL_METRICS, Metric, metric_name
from tests.support.source import ROOT

OBSERVE = ROOT / "deploy" / "observe"
# The API is a process of its own, with metrics of its own.
PROCESSES = ("portal", "intake", "vneid_mock", "scoring", "scoring_api")
MODULES = {"scoring_api": "services.scoring.api.app"}
# What Prometheus itself and the process collector of its client library add.
FOREIGN = {"up", "ALERTS", "process_cpu_seconds_total", "process_resident_memory_bytes"}
TARGET_LABELS = {"job", "instance", "le", "alertstate", "severity"}

_QUOTED = re.compile(r'"[^"]*"')
_LABELS = re.compile(r"\{[^}]*\}")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\(|[a-zA-Z0-9_:])")
_OPERATORS = {"and", "or", "unless", "bool"}


def declared(process: str) -> list[Metric]:
    """Return the metrics that a process declares."""
    module = import_module(MODULES.get(process, f"services.{process}.app"))
    return [BUILD_INFO, *getattr(module, "METRICS")]  # noqa: B009  the module is any of several


def full_names() -> dict[str, Metric]:
    """Return every declared metric by the name that Prometheus knows it by."""
    return {metric_name(metric, process): metric for process in PROCESSES for metric in declared(process)}


def processes_of(name: str) -> list[str]:
    return [process for process in PROCESSES if any(metric_name(one, process) == name for one in declared(process))]


def series() -> dict[str, set[str]]:
    """Return the labels of every series that can exist, by name."""
    found = {name: set(TARGET_LABELS) for name in FOREIGN}
    for name, metric in full_names().items():
        endings = ("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",)
        found |= {name + ending: TARGET_LABELS | set(metric.labels) for ending in endings}
    for rule in rules():
        if "record" in rule:
            found[rule["record"]] = TARGET_LABELS | grouped_by(rule["expr"])
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((OBSERVE / "alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((OBSERVE / "grafana" / "dashboards" / "paperless.json").read_text("utf-8"))
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression with where it stands."""
    for rule in rules():
        yield rule.get("alert", rule.get("record", "")), rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def names_in(expression: str) -> set[str]:
    """Return the metric names of a PromQL expression: all words that are neither functions, labels nor operators."""
    bare = _GROUPING.sub(" ", _RANGE.sub(" ", _LABELS.sub(" ", _QUOTED.sub('""', expression))))
    return {name for name in _NAME.findall(bare) if name not in _OPERATORS}


def grouped_by(expression: str) -> set[str]:
    return {label.strip() for labels in _GROUPING.findall(expression) for label in labels.split(",")}


def matched(expression: str) -> set[str]:
    """Return the labels that an expression's selectors name."""
    bare = _QUOTED.sub('""', expression)
    return {label for labels in _LABELS.findall(bare) for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels)}


def metric_rows() -> list[str]:
    """Return the rows of the documentation's table of metrics."""
    rows = []
    for name, metric in sorted(full_names().items()):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        of = "all" if metric in {BUILD_INFO, *KERNEL_METRICS} else ", ".join(processes_of(name))
        rows.append(f"| `{name}` | {metric.kind} | {labels} | {of} | {metric.help} |")
    return rows
