"""A counted name is declared, a declared one is counted and documented, and what is watched exists."""

import ast
from collections.abc import Iterator

import pytest

from runtime.measured import HTTP_METRICS
from runtime.metrics import BUILD_INFO, KERNEL_METRICS, Metric
from tests.support.observe_files import (
    dashboard,
    declared,
    expressions,
    full_names,
    grouped_by,
    matched,
    metric_rows,
    names_in,
    rules,
    series,
)
from tests.support.source import ROOT, modules, tree_of

SERVICES = ("portal", "intake", "vneid_mock", "scoring")
PAGE = ROOT / "docs" / "observability.md"


def metrics_of(service: str) -> dict[str, Metric]:
    """Return the metrics that the processes of a service declare."""
    processes = (service, "scoring_api") if service == "scoring" else (service,)
    return {metric.name: metric for process in processes for metric in declared(process)}


def counted(*packages: str) -> Iterator[tuple[str, ast.Call]]:
    for path in modules(*packages):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and node.args and _counts(node.func):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    yield str(first.value), node


def _counts(function: ast.expr) -> bool:
    return _gives_amounts(function) or (
        isinstance(function, ast.Attribute)
        and function.attr in {"count", "gauge", "observe"}
        and ast.unparse(function.value).endswith("metrics")
    )


def _gives_amounts(function: ast.expr) -> bool:
    """`tally`, or `metrics.tally`: what is counted per record is counted there, by the order of the labels."""
    return ast.unparse(function).rpartition(".")[2] == "tally"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_counts_only_declared_names(service):
    names = metrics_of(service)
    calls = list(counted(f"services/{service}"))
    assert calls
    for name, call in calls:
        assert name in names, f"{name} is counted, but not declared"
        if _gives_amounts(call.func):
            continue
        labels = {keyword.arg for keyword in call.keywords if keyword.arg not in {None, "amount"}}
        assert labels == set(names[name].labels), f"{name} has other labels"


def test_the_runtime_counts_only_its_own_metrics():
    names = {metric.name: metric for metric in (*KERNEL_METRICS, *HTTP_METRICS)}
    for name, call in counted("runtime"):
        if _gives_amounts(call.func):
            assert name in names
            continue
        assert {keyword.arg for keyword in call.keywords} == set(names[name].labels), name


def test_every_declared_metric_is_counted_somewhere():
    used = {name for name, _ in counted("runtime", "services")} | {BUILD_INFO.name}
    everywhere = {metric.name for service in SERVICES for metric in metrics_of(service).values()}
    assert everywhere - used == set()


def test_every_declared_metric_is_documented():
    found = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert [line for line in found if line.split("`")[1] in full_names()] == metric_rows()


def test_a_metrics_name_ends_in_its_unit():
    endings: dict[str, tuple[str, ...]] = {
        "counter": ("_total",),
        "histogram": ("_seconds", "_bytes"),
        "gauge": ("_records", "_assigned", "_paused", "_ready", "_failing", "_seconds", "_bytes", "_info"),
    }
    for metric in full_names().values():
        assert metric.name.endswith(endings[metric.kind]), metric.name
        assert metric.help.endswith("."), metric.name


def test_alerts_and_dashboard_ask_only_for_what_exists():
    known = series()
    for place, expression in expressions():
        names = names_in(expression)
        assert names, place
        assert names <= known.keys(), f"{place}: {names - known.keys()}"
        labels = set().union(*(known[name] for name in names))
        assert grouped_by(expression) | matched(expression) <= labels, place


def test_an_expression_with_an_unknown_metric_would_be_noticed():
    text = 'sum by (job) (rate(paperless_records_lost_total{job="intake"}[5m])) > 0 and on (topic) up offset 5m'
    assert names_in(text) == {"paperless_records_lost_total", "up"}
    assert grouped_by(text) | matched(text) == {"job", "topic"}


def test_every_metric_that_says_how_it_goes_is_watched():
    """Whoever adds a metric says where it is looked at, or that it is for a closer look only."""
    watched = {name for _, expression in expressions() for name in names_in(expression)}
    unwatched = {name for name in full_names() if not any(one.startswith(name) for one in watched)}
    assert unwatched == {
        "intake_submissions_moved_total",
        "paperless_build_info",
        "paperless_deadlines_passed_total",
        "paperless_partitions_assigned",
        "paperless_records_published_total",
        "paperless_records_redelivered_total",
        "portal_request_seconds",
        "scoring_api_request_seconds",
        "vneid_mock_replies_total",
    }


def test_every_alert_says_what_it_means_and_where_to_read_on():
    page = PAGE.read_text("utf-8")
    alerts = [rule for rule in rules() if "alert" in rule]
    assert alerts
    for rule in alerts:
        name = rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}, name
        assert rule["annotations"]["summary"], name
        assert rule["annotations"]["runbook"] == f"docs/observability.md#{name.lower()}"
        assert f"\n### {name}\n" in page, name


def test_every_alert_is_tested():
    tested = (ROOT / "deploy" / "observe" / "alerts_test.yml").read_text("utf-8")
    for rule in rules():
        assert "record" in rule or f"alertname: {rule['alert']}\n" in tested, rule


def test_the_dashboards_panels_lie_side_by_side():
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
