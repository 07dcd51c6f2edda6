"""The operator's webhook: signed, so that the receiver knows who is speaking and when.

``X-Kasparro-Timestamp`` holds seconds since the epoch, ``X-Kasparro-Signature`` is ``sha256=`` and
the hexadecimal HMAC-SHA256 of timestamp, a full stop and the body, under the shared secret. The
receiver compares in constant time and refuses what is older than some minutes.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests

from tasks.core.errors import TransientError

_TIMEOUTS_S = (3.0, 10.0)  # to connect, and between two bytes of the answer
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the value of the signature's header."""
    message = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def send(url: str, payload: Mapping[str, Any], *, secret: str, now: datetime) -> None:
    """Send one message; without a secret it goes unsigned.

    Raises:
        TransientError: If it was not accepted with a status of 200-299. The message names the host
            only: the path of a webhook is often a secret by itself.
    """
    host = urlsplit(url).hostname
    body = _ENCODER.encode(payload)
    timestamp = str(int(now.timestamp()))
    headers = {"Content-Type": "application/json", "X-Kasparro-Timestamp": timestamp}
    if secret:
        headers["X-Kasparro-Signature"] = signature(secret, timestamp, body)
    try:
        with (
            requests.Session() as session,
            session.post(
                url,
                data=body,
                headers=headers,
                timeout=_TIMEOUTS_S,
                allow_redirects=False,  # a signed message goes where the operator said, or nowhere
                stream=True,  # only the status matters
            ) as response,
        ):
            status = response.status_code
    except requests.RequestException as error:
        # Its text holds the whole address.
        raise TransientError(
            f"The webhook at {host} could not be reached: {type(error).__name__}."
        ) from None
    if not 200 <= status < 300:  # noqa: PLR2004 - the range of success
        raise TransientError(f"The webhook at {host} answered {status}.", status=status)
