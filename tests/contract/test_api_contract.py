"""The app and its document against docs/contract.yaml."""

import json
from pathlib import Path

import pytest
import yaml

from service import openapi
from service.app import BLUEPRINTS, describe
from tasks.core.settings import load_settings
from tests.support.api import add_asset, add_assets, add_news, running

CONTRACT = yaml.safe_load(Path("docs/contract.yaml").read_text())
ENDPOINTS = CONTRACT["endpoints"]
DOCUMENT = json.loads(describe())
NAMES = [f"{endpoint['method'].upper()} {endpoint['path']}" for endpoint in ENDPOINTS]


def flat(names):
    """The names of a list that may hold further lists, as YAML's anchors make them."""
    for name in names:
        yield from flat(name) if isinstance(name, list) else [name]


def resolved(schema):
    """What a schema describes in the end, be it nullable, a reference, a list or a map of it."""
    for _ in range(10):
        if "$ref" in schema:
            schema = DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        for inner in ("items", "additionalProperties"):
            if isinstance(schema.get(inner), dict):
                schema = schema[inner]
        for several in ("oneOf", "anyOf", "allOf"):
            if several in schema:
                schema = next(one for one in schema[several] if one.get("type") != "null")
    return schema


def members_at(schema, where):
    """The members of what is at a dotted path inside of a schema."""
    for name in where.split("."):
        schema = resolved(schema["properties"][name])
    return set(schema["properties"])


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
    for where, row in endpoint.get("rows", {}).items():
        assert set(flat(row)) - members_at(body_of(endpoint), where) == set()
    documented = set(operation(endpoint)["responses"])
    assert {str(status) for status in endpoint.get("statuses", [])} - documented == set()


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


def test_no_two_operations_go_by_one_name():
    names = [
        operation["operationId"]
        for item in DOCUMENT["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert sorted(set(names)) == sorted(names)


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
        environment.setenv("API_RATE_PER_MINUTE", "100000")
        with running(load_settings()) as whole:
            with whole.transaction() as session:
                add_asset(session)
                add_assets(session, 5)
                add_news(session)
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
    path = path.replace("{source}/{external_id}", "csv/never-loaded")
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
    method = endpoint["method"].upper()
    with api.client.open(path, method=method, headers=key) as response:
        assert response.status_code == endpoint.get("on_empty", endpoint["status"])
        if response.mimetype == "application/json":
            assert set(flat(endpoint.get("fields", []))) - set(response.json) == set()
            assert set(response.json) - set(body_of(endpoint)["properties"]) == set()
        headers = set(CONTRACT["headers"]["always"])
        if endpoint["scope"] != "public":
            headers |= set(CONTRACT["headers"]["counted"])
        if response.status_code == 200 and endpoint["path"] in CONTRACT["headers"]["tagged"]:
            headers.add("ETag")
        assert headers - set(response.headers.keys()) == set()


def test_the_document_names_the_headers():
    documented = set(DOCUMENT["components"]["headers"])
    headers = CONTRACT["headers"]
    assert {*headers["always"], *headers["counted"]} - documented <= {"X-Content-Type-Options"}
    for path in headers["tagged"]:
        assert "ETag" in DOCUMENT["paths"][path]["get"]["responses"]["200"]["headers"]


def without_the_request(body):
    """A body without what is about its request, and without how the page was asked for."""
    if not isinstance(body, dict):
        return body
    about = {"request_id", "api_latency_ms", "meta", "timestamp", "pagination"}
    return {name: value for name, value in body.items() if name not in about}


@pytest.mark.parametrize("pair", CONTRACT["same"], ids=str)
def test_two_ways_to_ask_for_one_thing_give_one_answer(api, key, pair):
    api.post("/etl/run", headers=key, json={"sources": ["csv"]})
    pair = pair if isinstance(pair, dict) else dict(zip(("first", "second"), pair, strict=True))
    first, second = api.get(pair["first"]), api.get(pair["second"])
    assert (first.status_code, second.status_code) == (200, 200)
    expected = second.json[pair["member"]] if "member" in pair else second.json
    assert without_the_request(first.json) == without_the_request(expected)


@pytest.mark.parametrize(("request_", "field"), CONTRACT["refused"], ids=str)
def test_what_is_out_of_range_is_refused_by_name(api, request_, field):
    response = api.get(request_)
    assert (response.status_code, response.mimetype) == (422, "application/problem+json")
    assert field in response.json["errors"]
    assert list(response.json) == CONTRACT["problem"]
