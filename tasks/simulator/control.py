"""The control API, ``/_control/...``: plays with a simulator in another process."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tasks.core.errors import InvalidInputError
from tasks.simulator.answers import Answer, as_json, error
from tasks.simulator.simulator import Simulator

PREFIX = "/_control"
Arguments = Mapping[str, Any]


def handle(simulator: Simulator, method: str, path: str, arguments: Arguments) -> Answer:
    """Do what a call to the control API asks; *arguments* are its query or its JSON body."""
    route = _ROUTES.get((method, path.removeprefix(PREFIX)))
    if route is None:
        return error("no such control", 404)
    try:
        return as_json(route(simulator, arguments))
    except InvalidInputError as problem:
        return error(str(problem), 422)
    except (KeyError, TypeError, ValueError) as problem:
        return error(f"arguments: {problem!r}", 422)


def arguments(body: bytes) -> Arguments:
    """Read the JSON object of a call; an empty body is an empty object.

    Raises:
        InvalidInputError: If it is anything else.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as problem:
        raise InvalidInputError(f"Not a JSON object: {problem}") from problem


def _fail(simulator: Simulator, given: Arguments) -> Any:
    return {"number": simulator.fail(**given)}


def _clear(simulator: Simulator, given: Arguments) -> Any:
    simulator.clear(given.get("source"))
    return {}


def _advance(simulator: Simulator, given: Arguments) -> Any:
    return {"tick": simulator.advance(int(given.get("ticks", 1)))}


def _limit(simulator: Simulator, given: Arguments) -> Any:
    simulator.limit(given["source"], given["per_minute"])
    return {}


def _requests(simulator: Simulator, given: Arguments) -> Any:
    arrivals = simulator.requests(given["source"])
    return [
        {"path": a.path, "wall": a.wall, "monotonic": a.monotonic, "status": a.status}
        for a in arrivals
    ]


def _window(simulator: Simulator, given: Arguments) -> Any:
    return {"max": simulator.max_in_window(given["source"], float(given["seconds"]))}


def _reset(simulator: Simulator, _given: Arguments) -> Any:
    simulator.reset()
    return {}


def _truth(simulator: Simulator, _given: Arguments) -> Any:
    return [identity._asdict() for identity in simulator.truth()]


_ROUTES: dict[tuple[str, str], Callable[[Simulator, Arguments], Any]] = {
    ("GET", "/state"): lambda simulator, _given: simulator.state(),
    ("GET", "/faults"): lambda simulator, _given: simulator.state()["faults"],
    ("POST", "/faults"): _fail,
    ("DELETE", "/faults"): _clear,
    ("POST", "/tick"): _advance,
    ("POST", "/limits"): _limit,
    ("GET", "/requests"): _requests,
    ("DELETE", "/requests"): _reset,
    ("GET", "/window"): _window,
    ("GET", "/truth"): _truth,
}
