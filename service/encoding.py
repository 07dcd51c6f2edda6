"""JSON as bytes: compact, UTF-8, keys in the order given, every digit of a Decimal kept."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from flask import Response
from flask.json.provider import JSONProvider

_ENCODER = msgspec.json.Encoder(decimal_format="number")


Verbatim = msgspec.Raw
"""JSON that is written already, put into a body as it is."""


def encode(value: Any) -> bytes:
    """Return ``value`` as compact JSON; a Decimal becomes a number with all its digits."""
    return _ENCODER.encode(value)


def compact(text: str) -> str:
    """Return JSON without spaces between its tokens; every digit stays as it is written."""
    return msgspec.json.format(text, indent=-1)


def rfc3339(moment: datetime) -> str:
    """Return an aware UTC time with six decimals and ``Z``: texts sort as the times do."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


class ExactJsonProvider(JSONProvider):
    """Flask's JSON, without a float on either way."""

    def dumps(self, obj: Any, **_kwargs: Any) -> str:
        """Return compact JSON; layout arguments are ignored."""
        return encode(obj).decode()

    def loads(self, s: str | bytes, **_kwargs: Any) -> Any:
        """Read JSON, numbers with a fraction as Decimal; ``NaN`` and its kin are refused."""
        return json.loads(s, parse_float=Decimal, parse_constant=_refuse_constant)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Wrap the value in a response."""
        body = encode(self._prepare_response_obj(args, kwargs))
        return Response(body, mimetype="application/json")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
