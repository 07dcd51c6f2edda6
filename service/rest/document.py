"""What every operation of the OpenAPI document has in common: headers, and the usual errors."""

from typing import Any

from service import errors

_ALWAYS = ("X-Request-ID", "Server-Timing")
_COUNTED = ("RateLimit", "RateLimit-Policy")
_HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "X-Request-ID": ("The caller's id of the request if it is sane, else a new UUID.", {}),
    "Server-Timing": ("Milliseconds: `total`, and `db` of them for the database.", {}),
    "RateLimit": (
        'Requests left (`r`) and seconds until there are more (`t`): `"default";r=599;t=60`.',
        {},
    ),
    "RateLimit-Policy": ("Requests (`q`) in a window of seconds (`w`).", {}),
    "Retry-After": ("Seconds.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("How to present a key.", {}),
    "ETag": ("Names this version; send it back as `If-None-Match`.", {}),
    "Cache-Control": ("Whether it may be kept.", {}),
    "Link": ('The next page: `<...>; rel="next"`.', {}),
    "Location": ("Where the first of the runs can be watched.", {}),
}
_REQUIRED = {"X-Request-ID", "Server-Timing", "Cache-Control", "Retry-After", "WWW-Authenticate"}
_ERRORS: dict[str, tuple[str, tuple[str, ...]]] = {
    "BAD_REQUEST": ("The body is not JSON, or the runs are of different sources.", ()),
    "UNAUTHORIZED": ("A key is needed, or the one presented is not good.", ("WWW-Authenticate",)),
    "FORBIDDEN": ("The key lacks the scope.", ()),
    "NOT_FOUND": ("There is no such thing.", ()),
    "NOT_ACCEPTABLE": ("It cannot be had in this format.", ()),
    "CONFLICT": ("It cannot be done in the present state.", ()),
    "CONTENT_TOO_LARGE": ("The body is larger than 64 KiB.", ()),
    "UNSUPPORTED_MEDIA_TYPE": ("The body does not call itself JSON.", ()),
    "UNPROCESSABLE_ENTITY": ("An argument is unknown or not valid; `errors` names it.", ()),
    "TOO_MANY_REQUESTS": ("The limit of the key or the address is used up.", ("Retry-After",)),
    "SERVICE_UNAVAILABLE": ("A server that is needed does not answer.", ("Retry-After",)),
    "DEFAULT_ERROR": ("Any other error.", ()),
}
_ONE_RUN = (
    "get_runs_by_id",
    "get_runs_events",
    "post_runs_cancel",
    "post_runs_retry",
    "post_runs_replay",
)
_LINKS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "get_data": (
        "asset_id",
        "/data/0/id",
        ("get_data_by_id", "get_data_explain", "get_data_history"),
    ),
    "get_runs": ("run_id", "/runs/0/run_id", _ONE_RUN),
    "post_etl_run": ("run_id", "/runs/0/run_id", _ONE_RUN),
    "get_anomalies": ("anomaly_id", "/data/0/anomaly_id", ("post_anomalies_acknowledge",)),
    "get_drift": ("drift_id", "/data/0/drift_id", ("post_drift_accept", "post_drift_mute")),
    "get_sources": ("name", "/sources/0/name", ("post_sources_pause", "post_sources_resume")),
}
"""Operation → a parameter of others, where its answer has the value, and which operations."""
_OF_MANY = {"/runs/retry"}
"""Paths whose words are those of an operation on one of the same things."""
_SOME_RUN = "0190a1b2-0000-7000-8000-000000000001"
_IN_PATHS = {
    "asset_id": ("The asset's `id`, or the one it had before.", "BTC"),
    "name": ("The source's name.", "csv"),
    "source": ("The source's name.", "coingecko"),
    "external_id": ("The source's own id.", "bitcoin"),
    "drift_id": ("Of `GET /drift`.", 1),
    "anomaly_id": ("Of `GET /anomalies`.", 1),
    "run_id": ("Of `GET /runs`, or of the answer that started it.", _SOME_RUN),
}
_OF_ALL = {"422": "UNPROCESSABLE_ENTITY"}
_OF_GUARDED = {
    "401": "UNAUTHORIZED",
    "403": "FORBIDDEN",
    "429": "TOO_MANY_REQUESTS",
    "503": "SERVICE_UNAVAILABLE",
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add to a document what flask-smorest does not know of; returns the same document."""
    components = document["components"]
    components["headers"] = {name: _header(name) for name in _HEADERS}
    components["responses"] = {name: _error(name) for name in _ERRORS}
    for path, item in document["paths"].items():
        parameters = item.get("parameters", [])
        for parameter in parameters:
            description, example = _IN_PATHS[parameter["name"]]
            parameter.update({"description": description, "example": example})
        for method, operation in item.items():
            if method != "parameters":
                operation["operationId"] = _name(method, path)
                _complete(operation, is_of_one=bool(parameters))
                _lead_on(operation)
    return document


def _lead_on(operation: dict[str, Any]) -> None:
    """Say where the ids come from that other operations want."""
    if operation["operationId"] not in _LINKS:
        return
    parameter, place, targets = _LINKS[operation["operationId"]]
    good = operation["responses"].get("200") or operation["responses"]["202"]
    good["links"] = {
        target: {
            "operationId": target,
            "parameters": {parameter: f"$response.body#{place}"},
        }
        for target in targets
    }


def _name(method: str, path: str) -> str:
    """Return a name for clients: ``get_data_by_id`` for ``GET /data/{asset_id}``."""
    if path in _OF_MANY:
        path = path + "/many"
    words = [word for word in path.replace("-", "_").split("/") if word]
    named = [word for word in words if not word.startswith("{")] or ["root"]
    return "_".join([method, *named, *(["by_id"] if path.endswith("}") else [])])


def _complete(operation: dict[str, Any], *, is_of_one: bool) -> None:
    responses = operation["responses"]
    usual = _OF_ALL | (_OF_GUARDED if operation["security"] else {})
    usual |= {"404": "NOT_FOUND"} if is_of_one else {}
    if "requestBody" in operation:
        usual |= {"400": "BAD_REQUEST", "413": "CONTENT_TOO_LARGE", "415": "UNSUPPORTED_MEDIA_TYPE"}
    if any("csv" in media for media in responses.get("200", {}).get("content", {})):
        usual |= {"406": "NOT_ACCEPTABLE"}
    for status, name in usual.items():
        responses.setdefault(status, {"$ref": f"#/components/responses/{name}"})
    for status, response in responses.items():
        if "$ref" not in response:
            response["headers"] = _refer(
                _ALWAYS, ("Cache-Control",), _particular(operation, status)
            )
    operation["responses"] = dict(sorted(responses.items()))


def _particular(operation: dict[str, Any], status: str) -> tuple[str, ...]:
    """Return the headers of a good answer that not every answer has."""
    names: tuple[str, ...] = _COUNTED if operation["security"] else ()
    if "304" in operation["responses"]:
        names += ("ETag",)
    if status == "200" and any(p.get("name") == "cursor" for p in operation.get("parameters", [])):
        names += ("Link",)
    return (*names, "Location") if status == "202" else names


def _refer(*groups: tuple[str, ...]) -> dict[str, Any]:
    names = [name for group in groups for name in group]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(name: str) -> dict[str, Any]:
    description, schema = _HEADERS[name]
    whole = {"description": description, "schema": schema or {"type": "string"}}
    return whole | ({"required": True} if name in _REQUIRED else {})


def _error(name: str) -> dict[str, Any]:
    description, headers = _ERRORS[name]
    return {
        "description": description,
        "headers": _refer(_ALWAYS, ("Cache-Control",), headers),
        "content": {errors.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
