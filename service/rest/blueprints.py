"""Our Api and Blueprint: what every endpoint has without saying so.

Where flask-smorest 0.47 would answer differently from the contract, it is mended here: problem
details with the exception's own headers, unknown query parameters refused, a wrong content type
named, weak entity tags compared, and a scope that every operation must declare.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

import flask_smorest
from flask import Flask, Response, current_app, g, request
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import (
    BadRequest,
    RequestEntityTooLarge,
    UnprocessableEntity,
    UnsupportedMediaType,
)

from service import errors, formats
from service.conditional import address_of, etag_of, is_current
from service.rest.admission import admit
from service.rest.answers import finished, keep, marked
from service.rest.shared import delivery, version_of
from service.schemas.base import Exact, Moment, Problem, Word

_KEY_SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}


def either(whole: type[Schema], row: type[Schema]) -> dict[str, Any]:
    """Return the schema of an answer that is the whole object, or with ``shape=array`` its rows."""
    return {"oneOf": [whole, {"type": "array", "items": row}]}


class Parser(FlaskParser):
    """Reads arguments: what is not known is refused, a body must say it is JSON."""

    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012 - webargs declares it
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": RAISE,
        "json": RAISE,
    }

    def load_querystring(self, req: Any, schema: Any) -> Any:
        """Return the query's arguments, each of them given once.

        Raises:
            ValidationError: If one is given more than once: which of them counts?
        """
        if twice := [name for name, found in req.args.lists() if len(found) > 1]:
            raise ValidationError({name: ["Is given more than once."] for name in twice})
        return super().load_querystring(req, schema)

    def load_json(self, req: Any, _schema: Any) -> Any:
        """Return the body's JSON; no body at all is an empty object.

        Raises:
            BadRequest: If the body is not JSON.
            RequestEntityTooLarge: If it goes on beyond what is read of it.
            UnsupportedMediaType: If there is a body that does not call itself JSON.
        """
        if not req.get_data(cache=True):
            return {}
        if not req.is_json:
            raise UnsupportedMediaType("Send the body as application/json.")
        if len(req.get_data()) >= current_app.config["MAX_CONTENT_LENGTH"]:
            raise RequestEntityTooLarge  # without a length werkzeug cuts it off and says nothing
        try:
            return current_app.json.loads(req.get_data())
        except (ValueError, RecursionError) as error:
            raise BadRequest("The body is not JSON.") from error


class Api(flask_smorest.Api):  # type: ignore[misc] # flask-smorest ships no types
    """The API with our error body and our security schemes in its document."""

    ERROR_SCHEMA = Problem

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self._undocumented: list[Blueprint] = []
        self.register_field(Exact, "number", None)
        self.register_field(Moment, "string", "date-time")
        self.register_field(Word, "string", None)
        self.init_app(app)
        for name, scheme in _KEY_SCHEMES.items():
            self.spec.components.security_scheme(name, scheme)

    def register_blueprint(self, blueprint: "Blueprint") -> None:
        """Add a group of endpoints; they are described when somebody asks for the document."""
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blueprint.name] = self
        self._app.register_blueprint(blueprint)
        self._undocumented.append(blueprint)

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        while self._undocumented:
            group = self._undocumented.pop(0)
            group.register_views_in_doc(
                self, self._app, self.spec, name=group.name, parameters=None
            )
            self.spec.tag({"name": group.name, "description": group.description})
        whole: dict[str, Any] = self.spec.to_dict()
        return whole

    def _register_error_handlers(self) -> None:
        errors.init_app(self._app)

    def _register_responses(self) -> None:
        for status in (*HTTPStatus, None):
            name = status.name if status else "DEFAULT_ERROR"
            response: dict[str, Any] = {"description": status.phrase if status else "Any error."}
            if status is None or status >= HTTPStatus.BAD_REQUEST:
                response["content"] = {errors.MEDIA_TYPE: {"schema": Problem}}
            self.spec.components.response(name, response, lazy=True)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A group of endpoints that declare who may call them and how they are cached."""

    ARGUMENTS_PARSER = Parser()

    def arguments(self, schema: Any, *, location: str = "json", **kwargs: Any) -> Any:
        """Read arguments from a place of the request; without this a query must be empty.

        One schema serves all requests: to make it takes longer than to use it.
        """
        made = schema() if isinstance(schema, type) else schema
        read = super().arguments(made, location=location, **kwargs)

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            reading_view: Callable[..., Any] = read(view)
            if location == "query":
                reading_view.reads_query = True  # type: ignore[attr-defined]
            return reading_view

        return decorate

    def requires(self, scope: str) -> Callable[[Any], Any]:
        """Let only callers with this scope in, and say so in the document."""
        return _guarded(scope, [{name: [scope]} for name in _KEY_SCHEMES])

    def public(self) -> Callable[[Any], Any]:
        """Let everybody in, whatever ``API_AUTH`` says, without asking any other server."""
        return _guarded(None, [])

    def exports(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """Say in the document that the list can be had as a file, too."""
        for name, media_type in formats.MEDIA_TYPES.items():
            if name != "json":
                text = {"type": "string"}
                view = self.alt_response(200, schema=text, content_type=media_type)(view)
        return view

    def conditional(self, *topics: str) -> Callable[[Any], Any]:
        """Answer 304, or from the cache, before the arguments are even read.

        The tag is made of the versions of these topics of the data.
        """

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(view)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                address = address_of(request.environ)
                g.version = version_of(topics)
                g.etag = etag_of(address, g.version)
                if is_current(request.headers.get("If-None-Match", ""), g.etag):
                    return marked(Response(status=HTTPStatus.NOT_MODIFIED))
                kept = delivery().cache.get(address)
                if kept is not None and kept.body is not None and kept.version == g.version:
                    return _unless_any_will_do(finished(kept.body))
                response = marked(current_app.make_response(view(*args, **kwargs)))
                if response.status_code == HTTPStatus.OK:
                    keep(topics)
                return _unless_any_will_do(response)

            _document(wrapper, responses={"304": {"description": "You have this version already."}})
            return wrapper

        return decorate


def _unless_any_will_do(answer: Response) -> Response:
    """Return 304 instead of a good answer to one who has any version: ``If-None-Match: *``."""
    if answer.status_code == HTTPStatus.OK and request.if_none_match.star_tag:
        answer.close()
        return marked(Response(status=HTTPStatus.NOT_MODIFIED))
    return answer


def refuse_arguments() -> None:
    """Refuse a query where nothing may be said in it.

    Raises:
        UnprocessableEntity: With each argument named.
    """
    if request.args:
        error = UnprocessableEntity()
        error.data = {"errors": {name: ["Unknown field."] for name in request.args}}  # type: ignore[attr-defined]
        raise error


def _guarded(scope: str | None, security: list[dict[str, list[str]]]) -> Callable[[Any], Any]:
    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        reads_query = getattr(view, "reads_query", False)

        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if scope is not None:
                admit(scope)
            if not reads_query:
                refuse_arguments()
            return view(*args, **kwargs)

        wrapper.scope = scope or "public"  # type: ignore[attr-defined] # read by the tests
        _document(wrapper, security=security)
        return wrapper

    return decorate


def _document(view: Any, **facts: Any) -> None:
    manual = getattr(view, "_apidoc", {}).get("manual_doc", {})
    view._apidoc = {**getattr(view, "_apidoc", {}), "manual_doc": {**manual, **facts}}  # noqa: SLF001
