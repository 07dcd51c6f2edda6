"""The app and its document against docs/contract.yaml."""

import json
from pathlib import Path

import pytest
import yaml

from service import openapi
from service.app import BLUEPRINTS, describe
from tasks.core.settings import load_settings
from tests.support.api import add_asset, running

CONTRACT = yaml.safe_load(Path("docs/contract.yaml").read_text())
ENDPOINTS = CONTRACT["endpoints"]
DOCUMENT = json.loads(describe())
NAMES = [f"{endpoint['method'].upper()} {endpoint['path']}" for endpoint in ENDPOINTS]


def flat(names):
    """The names of a list that may hold further lists, as YAML's anchors make them."""
    for name in names:
        yield from flat(name) if isinstance(name, list) else [name]


def resolved(schema):
    schema = schema.get("oneOf", [schema])[0]
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def operation(endpoint):
    return DOCUMENT["paths"][endpoint["path"]][endpoint["method"]]


def body_of(endpoint):
    content = operation(endpoint)["responses"][str(endpoint["status"])]["content"]
    media = content.get("application/json") or next(iter(content.values()))
    return resolved(media["schema"])


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=NAMES)
def test_the_document_has_every_parameter_and_member(endpoint):
    parameters = {p["name"] for p in operation(endpoint).get("parameters", []) if "name" in p}
    assert set(flat(endpoint.get("parameters", []))) - parameters == set()
    members = body_of(endpoint).get("properties", {})
    assert set(flat(endpoint.get("fields", []))) - set(members) == set()
    for name, row in endpoint.get("rows", {}).items():
        assert set(flat(row)) - set(resolved(members[name]["items"])["properties"]) == set()


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=NAMES)
def test_an_operation_says_who_may_call_it_and_what_it_is_for(endpoint):
    documented = operation(endpoint)
    scopes = {scope for way in documented["security"] for names in way.values() for scope in names}
    assert scopes == ({endpoint["scope"]} if endpoint["scope"] != "public" else set())
    assert documented["summary"].endswith(".")


def test_the_contract_names_every_operation_of_the_document():
    documented = {
        f"{method.upper()} {path}"
        for path, operations in DOCUMENT["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert documented == set(NAMES)


def test_every_view_declares_a_scope():
    views = [
        getattr(rule.view_func.view_class, method.lower())
        for rule in _rules()
        for method in rule.view_func.view_class.methods
    ]
    assert views
    assert all(view.scope in {"read", "run", "admin", "public"} for view in views)


def _rules():
    from types import SimpleNamespace  # noqa: PLC0415

    from flask import Flask  # noqa: PLC0415

    app = Flask("rules")
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    functions = (f for name, f in app.view_functions.items() if name != "static")
    return [SimpleNamespace(view_func=function) for function in functions]


def test_the_document_in_the_repository_is_current():
    assert Path("docs/openapi.json").read_text(encoding="utf-8") == openapi.text()


def test_errors_and_pages_are_documented_with_all_their_members():
    schemas = DOCUMENT["components"]["schemas"]
    assert list(schemas["Problem"]["properties"]) == CONTRACT["problem"]
    assert list(schemas["Pagination"]["properties"]) == CONTRACT["pagination"]


@pytest.fixture(scope="module")
def api(databases, servers):
    with databases.cloned() as url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", url)
        environment.setenv("REDIS_URL", servers["REDIS_URL"])
        with running(load_settings()) as whole:
            with whole.transaction() as session:
                add_asset(session)
            yield whole


@pytest.fixture(scope="module")
def key(api):
    return {"X-API-Key": api.key("run", "read", "admin")}


def filled(path, api, key):
    if "{run_id}" in path:
        started = api.post("/etl/run", headers=key, json={"sources": ["csv"]}).json
        run_id = started["runs"][0]["run_id"] if "runs" in started else started["active_run_id"]
        if not path.endswith("/cancel"):
            api.post(f"/runs/{run_id}/cancel", headers=key)
        path = path.replace("{run_id}", run_id)
    path = path.replace("{anomaly_id}", "1").replace("{drift_id}", "1")
    return path.replace("{asset_id}", "BTC").replace("{name}", "csv")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=NAMES)
def test_an_argument_nobody_knows_is_refused_by_name(api, key, endpoint):
    path = filled(endpoint["path"], api, key)
    response = api.client.open(f"{path}?bogus=1", method=endpoint["method"].upper(), headers=key)
    assert response.status_code == 422
    assert response.json["errors"]["bogus"] == ["Unknown field."]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=NAMES)
def test_the_app_answers_as_documented(api, key, endpoint):
    path = filled(endpoint["path"], api, key)
    for run in api.get("/runs?status=queued").json["runs"]:
        if run["run_id"] not in path:
            api.post(f"/runs/{run['run_id']}/cancel", headers=key)
    response = api.client.open(path, method=endpoint["method"].upper(), headers=key)
    assert response.status_code == endpoint.get("on_empty", endpoint["status"])
    if response.mimetype == "application/json":
        assert set(flat(endpoint.get("fields", []))) - set(response.json) == set()
        assert set(response.json) - set(body_of(endpoint)["properties"]) == set()
