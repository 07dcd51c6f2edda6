"""Alerts, dashboards and the operations page speak of metrics that exist, a sentence each."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families as families

from tests.support.api import running
from tests.support.cli import ROOT

DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
# What PromQL itself says; every other word of an expression is a metric.
PROMQL = {
    *(
        "sum",
        "max",
        "min",
        "avg",
        "count",
        "by",
        "without",
        "on",
        "ignoring",
        "and",
        "or",
        "unless",
    ),
    *("rate", "increase", "time", "absent", "histogram_quantile", "min_over_time", "label_values"),
}
OF_PROMETHEUS = {"up"}


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _alerts() -> list[dict[str, Any]]:
    return [rule for rule in _rules() if "alert" in rule]


def _panels() -> Iterator[tuple[str, str]]:
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        for variable in dashboard["templating"]["list"]:
            yield f"{path.stem}: {variable['name']}", variable["query"]["query"]
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]


def _metrics(expression: str) -> set[str]:
    """Return the metrics that an expression reads."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    if bare.startswith("label_values("):
        bare = bare.split(",")[0]
    return set(re.findall(r"[a-zA-Z_][\w:]*", bare)) - PROMQL


def _labels(expression: str) -> Iterator[tuple[str, str]]:
    for name, matchers in re.findall(r"([a-z_][\w:]*)\{([^}]*)\}", expression):
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
            yield name, label


@pytest.fixture
def exposition(settings) -> Iterable[Any]:
    """What the API shows to Prometheus, parsed."""
    with running(settings) as api:
        api.get("/data")
        yield list(families(api.get("/metrics").text))


@pytest.fixture
def metric_names(exposition) -> set[str]:
    """Every name that can be asked for; a counter or histogram may have no series yet."""
    names = {sample.name for family in exposition for sample in family.samples}
    for family in exposition:
        if family.type == "histogram":
            names |= {family.name + suffix for suffix in ("_bucket", "_count", "_sum")}
        names.add(family.name + ("_total" if family.type == "counter" else ""))
    return names | OF_PROMETHEUS | {rule["record"] for rule in _rules() if "record" in rule}


def test_every_rule_reads_metrics_that_the_api_shows(metric_names):
    for rule in _rules():
        assert _metrics(rule["expr"]) - metric_names == set(), rule


def test_every_panel_reads_metrics_that_the_api_shows(metric_names):
    for panel, expression in _panels():
        assert _metrics(expression), panel
        assert _metrics(expression) - metric_names == set(), panel


def test_every_label_that_a_rule_or_panel_asks_for_is_one_of_the_metric(exposition):
    known: dict[str, set[str]] = {}
    for family in exposition:
        for sample in family.samples:
            known.setdefault(sample.name, set()).update(sample.labels)
    asked = [rule["expr"] for rule in _rules()] + [expression for _, expression in _panels()]
    for expression in asked:
        for name, label in _labels(expression):
            if name in known:
                assert label in known[name], expression


def test_nothing_adds_up_what_every_container_of_the_api_tells():
    """Pipeline figures are the database's: two containers say each of them twice."""
    adding = re.compile(r"sum(?: by \([^)]*\))?\s*\((?:\w+\()?((?:etl|data|schema|crypto)_\w+)")
    expressions = [rule["expr"] for rule in _rules()] + [each for _, each in _panels()]
    added = {name for each in expressions for name in adding.findall(each)}
    assert {name for name in added if not name.endswith("_bucket")} == set()


def test_every_alert_says_how_urgent_it_is_and_leads_to_a_runbook():
    page = (ROOT / "docs/operations.md").read_text()
    headings = {line.strip("# ").lower() for line in page.splitlines() if line.startswith("###")}
    for alert in _alerts():
        assert alert["labels"]["severity"] in {"page", "ticket"}
        document, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert (document, anchor) == ("docs/operations.md", alert["alert"].lower())
        assert anchor in headings, alert["alert"]


def test_every_alert_has_a_unit_test():
    tests = yaml.safe_load((ROOT / "deploy/prometheus/alerts_test.yml").read_text())["tests"]
    fired = {
        check["alertname"]
        for test in tests
        for check in test["alert_rule_test"]
        if check.get("exp_alerts")
    }
    assert {alert["alert"] for alert in _alerts()} - fired == set()


def test_every_metric_has_a_row_in_the_operations_page(exposition):
    rows = set(
        re.findall(r"^\| `([a-z_0-9]+)`", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    )
    shown = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in exposition
        if not family.name.startswith(("flask_", "python_", "process_"))
        and not family.name.endswith("_created")
    }
    assert shown - rows == set()
