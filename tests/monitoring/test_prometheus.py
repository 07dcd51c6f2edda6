"""A real Prometheus and its own tool, over a running demo; ``make monitoring`` runs it.

Prometheus is no Python package, so this is left out of ``make test``. Missing, it is an error.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from service.cli.embedded import valkey
from tests.support import metrics, processes, web
from tests.support.cli import ROOT, kasparro_process, start_kasparro

pytestmark = [pytest.mark.monitoring, pytest.mark.timeout(240)]
OF_A_SLOW_MACHINE = {"ApiLatencyBurning", "ApiSlow"}
# No series as long as nothing goes wrong: the labels' values are not known before.
UNHEARD_OF = ('code=~"5.."', 'code="429"', ":api_errors:", *metrics.RARE)
UP = "Ctrl-C stops everything."
# The one name that clients know and promtool would change.
REMARK = 'crypto_coins_total non-counter metrics should not have "_total" suffix'


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing: install Prometheus (Debian's package is `prometheus`)"
    return found


@pytest.fixture(scope="module")
def api_port() -> Iterator[int]:
    """The port of a demo that has run every source once."""
    port = valkey.free_port(0)
    with tempfile.TemporaryDirectory(prefix="km-") as directory:
        arguments = ("up", "--demo", "--data-dir", f"{directory}/data", "--port", port)
        with start_kasparro(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as demo:
            try:
                said = ""
                while UP not in said:
                    line = demo.stdout.readline()
                    assert line, said
                    said += line
                yield port
            finally:
                demo.terminate()
                demo.communicate()
        kasparro_process("down", "--data-dir", f"{directory}/data")


@pytest.fixture(scope="module")
def prometheus_port(api_port, tmp_path_factory) -> Iterator[int]:
    """Prometheus with our configuration, every address of which leads to the demo."""
    directory, port = tmp_path_factory.mktemp("prometheus"), valkey.free_port(0)
    configuration = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in configuration["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{api_port}"]}]
    shutil.copy(ROOT / "deploy/prometheus/alerts.yml", directory)
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    with _prometheus(directory, port):
        processes.wait_until(
            lambda: _query(
                port, "count_over_time(etl_database_up[1m]) > 2 and on () etl_last_sweep_timestamp"
            ),
            timeout_s=60,
            what="Prometheus has scraped, a sweep included",
        )
        yield port


@contextmanager
def _prometheus(directory: Path, port: int) -> Iterator[None]:
    line = [
        _program("prometheus"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "log").open("wb") as log, subprocess.Popen(line, stderr=log) as process:
        try:
            processes.wait_until(
                lambda: web.is_ok(port, "/-/ready"),
                timeout_s=30,
                what="Prometheus is ready",
            )
            yield
        finally:
            process.terminate()


def _asked(port: int, path: str, **parameters: str) -> Any:
    answer = web.ask(port, f"/api/v1/{path}?{urlencode(parameters)}").json()
    assert answer["status"] == "success", answer
    return answer["data"]


def _query(port: int, expression: str) -> list[Any]:
    return _asked(port, "query", query=expression)["result"]


def test_promtool_accepts_what_the_api_shows(api_port):
    checked = subprocess.run(
        [_program("promtool"), "check", "metrics"],
        input=web.ask(api_port, "/metrics").text,
        capture_output=True,
        text=True,
        check=False,
    )
    remarks = (checked.stdout + checked.stderr).strip().splitlines()
    assert [remark for remark in remarks if remark != REMARK] == []


def test_the_metrics_of_the_contract_are_there_after_a_run(api_port):
    assert list(metrics.departures(web.ask(api_port, "/metrics").text)) == []


def test_every_target_is_up(prometheus_port):
    targets = _asked(prometheus_port, "targets")["activeTargets"]
    assert targets
    assert {target["health"] for target in targets} == {"up"}, targets


def test_every_rule_is_loaded_and_evaluated_without_an_error(prometheus_port):
    def loaded() -> list[dict[str, Any]]:
        groups = _asked(prometheus_port, "rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    processes.wait_until(
        lambda: all(rule["health"] == "ok" for rule in loaded()),
        timeout_s=60,
        what="every rule was evaluated",
    )
    groups = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    assert len(loaded()) == sum(len(group["rules"]) for group in groups)
    firing = {rule["name"] for rule in loaded() if rule.get("state") == "firing"}
    assert firing <= OF_A_SLOW_MACHINE, "a demo that has just run well gives no alarm"


@pytest.mark.parametrize(
    "dashboard", sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")), ids=lambda p: p.stem
)
def test_every_panel_can_be_asked_and_has_an_answer(prometheus_port, dashboard):
    panels = json.loads(dashboard.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    answers = {
        expression: _query(prometheus_port, expression.replace("$source", "coinpaprika"))
        for expression in asked
    }
    silent = [expression for expression, found in answers.items() if not found]
    assert [each for each in silent if not any(part in each for part in UNHEARD_OF)] == []
