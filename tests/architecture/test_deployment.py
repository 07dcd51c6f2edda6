"""What deploys it agrees with the code, a sentence each."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import click
import pytest
import yaml

from service.cli import command_lines, entry, probes
from tests.support.cli import ROOT

COMPOSE = ["docker-compose.yml", "deploy/compose.demo.yml"]
MANIFESTS = sorted((ROOT / "deploy/k8s").rglob("*.yaml"))
# Read by gunicorn, Flower and the commands' options, not by the settings.
OF_PROGRAMS = {"FLOWER_BASIC_AUTH", "GUNICORN_CMD_ARGS", "KASPARRO_DATA_DIR"}


class Container(NamedTuple):
    """One container of ours, wherever it is described."""

    name: str
    arguments: list[str]
    environment: Mapping[str, Any]
    ports: list[int]
    probes: list[list[str]]


def _compose(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text())["services"]


def _objects(kind: str | None = None) -> list[dict[str, Any]]:
    found = [each for path in MANIFESTS for each in yaml.safe_load_all(path.read_text())]
    return [each for each in found if kind in {None, each["kind"]}]


def _composed() -> Iterator[Container]:
    for name, service in _compose("docker-compose.yml").items():
        if service["image"].startswith("kasparro"):
            published = [int(port.rpartition(":")[2]) for port in service.get("ports", [])]
            check = service.get("healthcheck", {}).get("test", [])[4:]
            environment = service["environment"]
            yield Container(
                name, service["command"], environment, published, [check] if check else []
            )


def _orchestrated() -> Iterator[Container]:
    for each in [*_objects("Deployment"), *_objects("Job")]:
        for container in each["spec"]["template"]["spec"]["containers"]:
            ports = [port["containerPort"] for port in container.get("ports", [])]
            checks = [container[name] for name in container if name.endswith("Probe")]
            commands = [check["exec"]["command"][3:] for check in checks if "exec" in check]
            yield Container(container["name"], container["args"], {}, ports, commands)


CONTAINERS = [*_composed(), *_orchestrated()]
IDS = [f"{index}-{each.name}" for index, each in enumerate(CONTAINERS)]


def _parsed(arguments: list[str]) -> dict[str, Any]:
    """Parse a command line as the command would, without running it."""
    command: click.Command = entry.kasparro
    rest = list(arguments)
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), rest.pop(0))
    return command.make_context(None, rest).params


@pytest.mark.parametrize("container", CONTAINERS, ids=IDS)
def test_every_command_and_probe_of_a_container_is_one_that_exists(container):
    assert _parsed(container.arguments) is not None
    for probe in container.probes:
        assert probe[0] == "probe"
        assert _parsed(probe)["role"] == container.arguments[0]


@pytest.mark.parametrize("containers", [_composed, _orchestrated], ids=["compose", "cluster"])
def test_every_queue_has_a_consumer_and_every_role_runs(containers):
    found = list(containers())
    queues = [
        queue
        for each in found
        if each.arguments[0] == "worker"
        for queue in _parsed(each.arguments)["queues"].split(",")
    ]
    assert sorted(queues) == sorted(command_lines.QUEUES)
    assert {"api", "worker", "beat", "db"} <= {each.arguments[0] for each in found}


def test_every_variable_that_a_container_is_given_is_a_setting(setting_names):
    known = setting_names | OF_PROGRAMS
    given = {name for each in CONTAINERS for name in each.environment}
    given |= {name for each in _objects("ConfigMap") for name in each["data"]}
    given |= {
        name
        for service in _compose("deploy/compose.demo.yml").values()
        for name in service["environment"]
    }
    assert given - known == set()


def test_every_published_port_is_one_that_the_role_listens_on():
    for container in CONTAINERS:
        role = container.arguments[0]
        assert set(container.ports) <= {probes.PAGES[role][0]} if container.ports else True
        if role in probes.PAGES and "port" in _parsed(container.arguments):
            assert _parsed(container.arguments)["port"] == probes.PAGES[role][0]


def test_the_services_of_the_cluster_lead_to_ports_that_exist():
    names = {
        port["name"]
        for each in _objects("Deployment")
        for container in each["spec"]["template"]["spec"]["containers"]
        for port in container.get("ports", [])
    }
    targets = {port["targetPort"] for each in _objects("Service") for port in each["spec"]["ports"]}
    assert targets <= names


def test_the_demo_points_at_all_that_the_simulator_serves():
    from tasks.simulator.server import environment  # noqa: PLC0415 - only the demo needs it

    for service in _compose("deploy/compose.demo.yml").values():
        wanted = environment("http://simulator:8100", "/data/csv")
        assert {"CSV_PATH": "/data/csv", **service["environment"]} == wanted


def test_every_scaled_workload_exists_and_watches_a_queue():
    workloads = {each["metadata"]["name"] for each in _objects("Deployment")}
    for each in _objects("ScaledObject"):
        assert each["spec"]["scaleTargetRef"]["name"] in workloads
        watched = {trigger["metadata"]["listName"] for trigger in each["spec"]["triggers"]}
        assert watched <= set(command_lines.QUEUES)


def test_every_resource_of_a_kustomization_is_there():
    for path in MANIFESTS:
        for each in yaml.safe_load_all(path.read_text()):
            resources = each.get("resources", []) if each["kind"] == "Kustomization" else []
            assert [name for name in resources if not (path.parent / name).exists()] == []


@pytest.mark.parametrize("container", list(_orchestrated()), ids=lambda each: each.name)
def test_no_container_of_the_cluster_may_write_or_gain_rights(container):
    (pod,) = (
        each["spec"]["template"]["spec"]
        for each in [*_objects("Deployment"), *_objects("Job")]
        if each["metadata"]["name"] == container.name
    )
    assert pod["securityContext"]["runAsNonRoot"]
    for each in pod["containers"]:
        context = each["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in each["resources"]["limits"]


def test_whoever_stops_a_container_waits_longer_than_it_may_take(settings):
    text = (ROOT / "service/gunicorn.py").read_text()
    answers_s = int(re.search(r"^graceful_timeout = (\d+)", text, re.MULTILINE)[1])
    longest_s = {"api": settings.api_drain_s + answers_s, "worker": settings.limits.hard_s}
    patience_s = {
        (service["command"][0], name): int(service.get("stop_grace_period", "10s").rstrip("s"))
        for name, service in _compose("docker-compose.yml").items()
        if service["image"].startswith("kasparro")
    }
    for each in _objects("Deployment"):
        pod = each["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert "lifecycle" not in container, "the API itself waits until it is found to stop"
        role = container["args"][0]
        patience_s[role, f"pod {container['name']}"] = pod["terminationGracePeriodSeconds"]
    for (role, name), seconds in patience_s.items():
        assert seconds > longest_s.get(role, 0), name


def test_no_container_on_one_machine_is_open_to_others():
    for name, service in _compose("docker-compose.yml").items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert "no-new-privileges:true" in service.get("security_opt", []) or name in {
            "postgres",  # their entrypoints change the user
            "redis",
        }


def test_whatever_stays_is_looked_after_and_comes_back_by_itself():
    for name, service in _compose("docker-compose.yml").items():
        if name != "migrate":
            assert service["healthcheck"]["test"], name
            # Any other policy gives up, after some deaths or when the machine starts anew.
            assert service["restart"] == "unless-stopped", name


def test_no_password_has_a_default():
    text = "\n".join((ROOT / name).read_text() for name in COMPOSE)
    defaults = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|TOKEN|AUTH)\w*):?-([^}]*)\}", text)
    assert [name for name, default in defaults if default] == []


def test_the_build_server_runs_make_targets_that_exist_and_may_write_nothing():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    targets = set(re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    jobs = workflow["jobs"].values()
    steps = [step.get("run", "") for job in jobs for step in job["steps"]]
    named = set(re.findall(r"\bmake ([a-z]+)", "\n".join(steps)))
    for job in jobs:
        named |= set(job.get("strategy", {}).get("matrix", {}).get("target", []))
    assert named <= targets
    assert workflow["permissions"] == {"contents": "read"}
    writing = {name for name, job in workflow["jobs"].items() if "permissions" in job}
    assert writing == {"publish"}
