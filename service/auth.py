"""Who calls, and what they may do: API keys, scopes, the scheduler's token.

A key is ``ksp_<id>_<secret>``. The secret has 256 random bits, so a plain SHA-256 is a sound way to
store it: there is nothing to guess that a slow hash would protect.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from flask import Request
from sqlalchemy import Text, bindparam, func, or_, select, text, update
from sqlalchemy.orm import Session
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from tasks.core.errors import CallerError, InvalidInputError, NotFoundError
from tasks.store.tables import ApiKey

SCOPES = ("read", "run", "admin")
LAST_USED_EVERY = timedelta(minutes=1)
_PREFIX = "ksp"
_NO_HASH = bytes(32)
FIND = text(
    """
    select key_id, secret_sha256, scopes, rate_per_minute,
      revoked_at is null and (expires_at is null or expires_at > now()) as is_valid,
      coalesce(last_used_at >= now() - cast(:every as interval), false) as is_noted
    from api_keys where key_id = :key_id
    """
).bindparams(bindparam("every", LAST_USED_EVERY), bindparam("key_id", "", Text))
"""Finds the row of :class:`Known` of a ``key_id``."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who made a request.

    Attributes:
        actor: Name for the audit log and the rate limit: ``key:<id>``, ``scheduler`` or
            ``anonymous``.
        scopes: What they may do.
        rate_per_minute: Their own limit; None for the general one.
        is_noted: Whether the use of the key needs no note, see :func:`note_use`.
    """

    actor: str
    scopes: frozenset[str]
    rate_per_minute: int | None = None
    is_noted: bool = True


class Known(NamedTuple):
    """What is known of a key when it is presented; see :class:`Caller`."""

    key_id: str
    secret_sha256: bytes
    scopes: Sequence[str]
    rate_per_minute: int | None
    is_valid: bool
    is_noted: bool


class BadKeyError(CallerError):
    """This key is unknown, revoked or expired."""


def create_key(
    session: Session,
    name: str,
    scopes: Iterable[str],
    *,
    expires_at: datetime | None = None,
    rate_per_minute: int | None = None,
) -> str:
    """Store a new key and return it; nobody can read it again.

    Args:
        session: Of the caller's transaction.
        name: For people; need not be unique.
        scopes: Some of :data:`SCOPES`.
        expires_at: Aware; None for never.
        rate_per_minute: Its own limit; None for the general one.

    Raises:
        InvalidInputError: If a scope is unknown or there is none.
    """
    wanted = sorted(set(scopes), key=lambda scope: (scope not in SCOPES, scope))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise InvalidInputError(f"Scopes are {', '.join(SCOPES)}; got {wanted}.", field="scopes")
    key_id, secret = secrets.token_hex(6), secrets.token_hex(32)
    session.add(
        ApiKey(
            key_id=key_id,
            name=name,
            secret_sha256=_hash(secret),
            scopes=wanted,
            expires_at=expires_at,
            rate_per_minute=rate_per_minute,
        )
    )
    session.flush()
    return f"{_PREFIX}_{key_id}_{secret}"


def list_keys(session: Session) -> list[ApiKey]:
    """Return every key, newest first, without anything that would let one in."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.key_id)))


def revoke_key(session: Session, key_id: str) -> None:
    """Make a key worthless from now on; a second time changes nothing.

    Raises:
        NotFoundError: If there is no such key.
    """
    key = _require(session, key_id)
    key.revoked_at = key.revoked_at or session.scalars(select(func.now())).one()


def rotate_key(session: Session, key_id: str, *, old_valid_until: datetime) -> str:
    """Return a new key with the rights of an old one, which stays valid for a while.

    Raises:
        NotFoundError: If there is no such key.
    """
    old = _require(session, key_id)
    fresh = create_key(
        session,
        old.name,
        old.scopes,
        expires_at=old.expires_at,
        rate_per_minute=old.rate_per_minute,
    )
    old.expires_at = min(filter(None, (old.expires_at, old_valid_until)))
    return fresh


def presented_key(request: Request, *, trigger: bool) -> str | None:
    """Return the key a request carries, also an empty one; None if it carries none.

    Args:
        request: The request.
        trigger: Whether ``X-Scheduler-Token`` counts, as on the trigger.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    candidates = (
        request.headers.get("X-API-Key"),
        token.strip() if scheme.lower() == "bearer" else None,
        request.headers.get("X-Scheduler-Token") if trigger else None,
    )
    return next((given for given in candidates if given is not None), None)


def is_scheduler(request: Request, scheduler_token: str) -> bool:
    """Tell in constant time whether the request carries the configured scheduler's token."""
    given = request.headers.get("X-Scheduler-Token")
    if not given or not scheduler_token:
        return False
    return hmac.compare_digest(_hash(given), _hash(scheduler_token))


def find(session: Session, key_id: str) -> Known | None:
    """Return what is known of a key."""
    row = session.execute(FIND, {"key_id": key_id}).one_or_none()
    return None if row is None else Known(*row)


def verify(find: Callable[[str], Known | None], presented: str) -> Caller | None:
    """Return who holds this key; None if it is unknown, revoked or expired.

    An unknown id costs the same work as a known one with a wrong secret.

    Args:
        find: Returns what :data:`FIND` finds for a ``key_id``.
        presented: What the caller sent.
    """
    prefix, _, rest = presented.partition("_")
    key_id, _, secret = rest.partition("_")
    readable = prefix == _PREFIX and key_id.isascii() and key_id.isalnum()
    key = find(key_id if readable else "")
    matches = hmac.compare_digest(_hash(secret), bytes(key.secret_sha256) if key else _NO_HASH)
    if key is None or not (matches and key.is_valid):
        return None
    return Caller(
        actor=f"key:{key.key_id}",
        scopes=frozenset(key.scopes),
        rate_per_minute=key.rate_per_minute,
        is_noted=key.is_noted,
    )


def note_use(session: Session, actor: str) -> None:
    """Record that a key was used, unless that was done within :data:`LAST_USED_EVERY`."""
    session.execute(
        update(ApiKey)
        .where(
            ApiKey.key_id == actor.removeprefix("key:"),
            or_(
                ApiKey.last_used_at.is_(None),
                ApiKey.last_used_at < func.now() - LAST_USED_EVERY,
            ),
        )
        .values(last_used_at=func.now())
    )


def anonymous(api_auth: str) -> Caller:
    """Return the caller without a key, under the setting ``API_AUTH``."""
    scopes = {"off": SCOPES, "open": ("read",)}.get(api_auth, ())
    return Caller(actor="anonymous", scopes=frozenset(scopes))


def unauthorized(sentence: str) -> Unauthorized:
    """Return the 401 that says how to present a key."""
    # A realm must stand in quotes (RFC 9110 11.5); given as a parameter, it would not.
    challenge = WWWAuthenticate("bearer", token='realm="kasparro"')  # noqa: S106 - none
    return Unauthorized(sentence, www_authenticate=challenge)


def authorise(caller: Caller, scope: str, *, api_auth: str) -> None:
    """Refuse a caller without the scope. What everybody may do, a holder of a key may do too.

    Raises:
        Unauthorized: If a key is needed and none was given.
        Forbidden: If the key is good but lacks the scope.
    """
    if scope in caller.scopes | anonymous(api_auth).scopes:
        return
    if caller.actor == "anonymous":
        raise unauthorized("This needs an API key: send it as X-API-Key.")
    raise Forbidden(f"This key does not have the scope {scope!r}.")


def _require(session: Session, key_id: str) -> ApiKey:
    key = session.get(ApiKey, key_id)
    if key is None:
        raise NotFoundError(f"There is no key {key_id!r}.")
    return key


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
