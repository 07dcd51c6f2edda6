"""Letting a caller in: who it is, how often it calls, what it may do."""

from flask import Response, g, request
from werkzeug.exceptions import TooManyRequests

from service import auth
from service.rate_limits import Verdict
from service.rest.shared import delivery, dependencies, writing

TRIGGER_ENDPOINTS = {"etl.trigger", "etl.trigger_alias"}


def admit(scope: str) -> None:
    """Let the caller of this request in, or say why not.

    Raises:
        Unauthorized: No key where one is needed, or one that is not good.
        Forbidden: The key lacks the scope.
        TooManyRequests: The caller's limit is used up.
    """
    settings = dependencies().settings
    try:
        caller = _caller()
    except auth.BadKeyError as error:
        _count(f"bad-key:{request.remote_addr}", settings.api_rate_per_minute)
        raise auth.unauthorized(str(error)) from error
    g.actor, g.caller, g.scope = caller.actor, caller, scope
    _count(
        counted_as(caller, request.remote_addr),
        caller.rate_per_minute or settings.api_rate_per_minute,
    )
    auth.authorise(caller, scope, api_auth=settings.api_auth)


def require(scope: str) -> None:
    """Ask for one more scope of the caller who is in.

    Raises:
        Unauthorized: No key, where one is needed for that.
        Forbidden: The key lacks the scope.
    """
    auth.authorise(g.caller, scope, api_auth=dependencies().settings.api_auth)


def counted_as(caller: auth.Caller, address: str | None) -> str:
    """Return the name under which a call is counted: the key's, or the address's without one."""
    return f"address:{address}" if caller.actor == "anonymous" else caller.actor


def _caller() -> auth.Caller:
    settings = dependencies().settings
    is_trigger = request.endpoint in TRIGGER_ENDPOINTS
    if is_trigger and auth.is_scheduler(request, settings.scheduler_token):
        return auth.Caller(actor="scheduler", scopes=frozenset({"run"}))
    presented = auth.presented_key(request, trigger=is_trigger)
    if presented is None:
        return auth.anonymous(settings.api_auth)
    caller = auth.verify(delivery().find_key, presented)
    if caller is None:
        raise auth.BadKeyError
    if not caller.is_noted:
        with writing() as session:
            auth.note_use(session, caller.actor)
    return caller


def _count(counted: str, per_minute: int) -> None:
    verdict = delivery().limiter.hit(counted, per_minute)
    if verdict is None:
        return
    g.rate_limit = verdict
    if not verdict.allowed:
        raise TooManyRequests(
            f"More than {per_minute} requests in a minute.", retry_after=verdict.reset_s
        )


def add_rate_limit_headers(response: Response) -> Response:
    """Tell the caller what is left of the limit."""
    verdict: Verdict | None = g.get("rate_limit")
    if verdict is not None:
        response.headers.update(verdict.headers())
    return response
