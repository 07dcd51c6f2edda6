"""Reading an answer that is not data: which error it is, and what an operator can do.

Vendors of market data speak at least six dialects of "no", under any status, 200 included, and the
networks before them add HTML and plain text of their own.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from tasks.core.errors import KasparroError, PermanentError, RateLimitedError, TransientError
from tasks.sources import json_pages
from tasks.sources.answers import DEFAULT_RETRY_AFTER_S
from tasks.sources.base import Response

# Cloudflare's 1015 is its rate limit, as text or inside a page; "throttled" is CoinGecko's, the
# last two are CoinPaprika's.
_RATE_LIMITED = re.compile(
    r"(?i)error code:? *1015|you are being rate limited|^\W*throttled"
    r"|too many requests|maximum request limit"
)
_TITLE = re.compile(r"(?is)<title[^>]*>(.*?)(?:</title|$)")
_MESSAGE_CHARS = 200
_OWN = 1000
_NO_ADVICE = "asking again will not help"
_READ_CHARS = 20_000
_JSON = msgspec.json.Decoder()


class Refusal(NamedTuple):
    """What a body says: the vendor's code, its words, and what kind of words they are."""

    code: int | None
    message: str
    is_json: bool
    is_rate_limit: bool


def judge(response: Response, *, title: str, advice: Mapping[int, str]) -> KasparroError | None:
    """Say which error an answer is, in one sentence; None for data.

    Args:
        response: An answer of any status.
        title: The source's name for people.
        advice: Vendor's codes and HTTP statuses → what is wrong and which setting to look at.
    """
    is_success = response.status < HTTPStatus.BAD_REQUEST
    if is_success and _may_be_data(response):
        return None
    refusal = read(response.body)
    if refusal.is_rate_limit or response.status == HTTPStatus.TOO_MANY_REQUESTS:
        said = _said(response, refusal)
        return RateLimitedError(
            f"{title} asks for fewer calls. {said}", retry_after_s=DEFAULT_RETRY_AFTER_S
        )
    if is_success and refusal.is_json and refusal.code is None and not refusal.message:
        return None
    return _failure(response, refusal, title=title, advice=advice)


def read(body: bytes) -> Refusal:
    """Find code and message in a body of any of the known shapes.

    ``{"status":{"error_code","error_message"}}``, the same under ``error``, ``error_code`` beside
    ``status``, ``{"error": text}``, ``{"status": int, "error": text}``, HTML, plain text.
    """
    try:
        document = _JSON.decode(body.removeprefix(json_pages.BOM))
    except json_pages.BROKEN_JSON:
        return _read_text(body.decode("utf-8", "replace")[:_READ_CHARS])
    code, message = _read_object(document)
    is_rate_limit = code == HTTPStatus.TOO_MANY_REQUESTS or bool(_RATE_LIMITED.search(message))
    return Refusal(code, _shortened(message), is_json=True, is_rate_limit=is_rate_limit)


def _may_be_data(response: Response) -> bool:
    is_unchanged = response.status == HTTPStatus.NOT_MODIFIED
    return is_unchanged or json_pages.is_array(response.content)


def _failure(
    response: Response, refusal: Refusal, *, title: str, advice: Mapping[int, str]
) -> KasparroError:
    said = _said(response, refusal)
    # Codes from 1000 are the vendor's own; below, they repeat a status that got lost on the way.
    status = next((code for code in (refusal.code, response.status) if code and code < _OWN), 0)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return TransientError(f"{title} has trouble of its own. {said}")
    if response.status < HTTPStatus.BAD_REQUEST and not refusal.is_json:
        # A portal, a proxy or a maintenance page stands before the vendor; they come and go.
        return TransientError(f"{title} did not answer with data. {said}")
    hint = advice.get(refusal.code or 0) or advice.get(response.status) or _NO_ADVICE
    return PermanentError(f"{title} refused: {hint}. {said}")


def _said(response: Response, refusal: Refusal) -> str:
    code = f", code {refusal.code}" if refusal.code not in {None, response.status} else ""
    words = f" and said: {refusal.message}" if refusal.message else ""
    return f"It answered {response.status}{code}{words}"


def _read_text(text: str) -> Refusal:
    found = _TITLE.search(text)
    message = _shortened(found[1] if found else text)
    is_rate_limit = bool(_RATE_LIMITED.search(text))
    return Refusal(None, message, is_json=False, is_rate_limit=is_rate_limit)


def _read_object(document: Any) -> tuple[int | None, str]:
    if not isinstance(document, dict):
        return None, document if isinstance(document, str) else ""
    nested = document.get("error")
    if isinstance(nested, dict):
        return _read_object(nested)
    status = document.get("status")
    inner = status if isinstance(status, dict) else {}
    code = document.get("error_code", inner.get("error_code", status))
    message = nested or inner.get("error_message") or document.get("message") or ""
    is_code = type(code) is int and code >= HTTPStatus.BAD_REQUEST
    return code if is_code else None, str(message)


def _shortened(text: str) -> str:
    return " ".join(text.split())[:_MESSAGE_CHARS]
