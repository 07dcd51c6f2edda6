"""Scripted faults: what goes wrong, for which requests, how often."""

import threading
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from tasks.core.errors import InvalidInputError
from tasks.simulator.answers import SHAPES, Request
from tasks.simulator.chance import Chance

Kind = Literal[
    "status", "delay", "drip", "reset", "truncate", "html", "empty", "rename_field", "drop_field",
    "retype_field", "add_field", "bad_item", "rank_shift",
]  # fmt: skip


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong.

    Attributes:
        source: ``coingecko``, ``coinpaprika`` or ``rss``.
        kind: ``status`` (answer with *status* in *shape*), ``delay`` (*seconds* before the first
            byte), ``drip`` (the body over *seconds*), ``reset``, ``truncate`` (break off after
            *share* of the body), ``html`` and ``empty`` (with 200), ``rename_field`` (*field* to
            *to* on every item), ``drop_field``, ``retype_field`` (numbers to strings, strings to
            numbers), ``add_field`` (*field* = *value*), ``bad_item`` (*field* = *value* on item
            number *item* only), ``rank_shift`` (the coins on both sides of the seam before the page
            change places; it stays so until cleared).
        times: Requests it spoils; None until cleared.
        after: Matching requests it lets pass first.
        page: Spoil only requests for that page; None for any.
        path: Spoil only requests whose path contains it.
        probability: Chance that a matching request is spoilt, drawn from *seed*.
        retry_after_s: Put ``Retry-After`` on a ``status`` fault; None leaves it out.
        retry_after_date: Write it as an HTTP date and not as seconds.
        field: Dotted for nested ones, as in ``quotes.USD.price``.
    """

    source: str
    kind: Kind
    times: int | None = 1
    after: int = 0
    page: int | None = None
    path: str = ""
    probability: float = 1.0
    seed: int = 0
    status: int = 500
    shape: str = ""
    retry_after_s: int | None = None
    retry_after_date: bool = False
    seconds: float = 1.0
    share: float = 0.5
    field: str = ""
    to: str = ""
    value: Any = None
    item: int = 0

    def concerns(self, request: Request) -> bool:
        """Say whether a request is one of those it waits for."""
        return (
            self.source == request.source
            and self.page in {None, request.page}
            and self.path in request.path
        )


_NEED_FIELD = {"rename_field", "drop_field", "retype_field", "add_field", "bad_item"}


def fault(options: Any) -> Fault:
    """Check and build a fault.

    Raises:
        InvalidInputError: If an option is unknown, of the wrong type, or missing for its kind.
    """
    try:
        made = msgspec.convert(options, Fault)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"No such fault: {error}") from error
    if made.kind in _NEED_FIELD and not made.field:
        raise InvalidInputError(f"A {made.kind} fault needs a field")
    if made.kind == "rename_field" and not made.to:
        raise InvalidInputError("A rename_field fault needs the new name in 'to'")
    if made.shape and made.shape not in SHAPES:
        raise InvalidInputError(f"shape is one of {', '.join(SHAPES)}")
    return made


@dataclass
class _Armed:
    number: int
    fault: Fault
    chance: Chance
    seen: int = 0
    done: int = 0

    def strikes(self, request: Request) -> bool:
        fault = self.fault
        if not fault.concerns(request) or self.over:
            return False
        self.seen += 1
        if self.seen <= fault.after or not self.chance.happens(fault.probability):
            return False
        self.done += 1
        return True

    @property
    def over(self) -> bool:
        return self.fault.times is not None and self.done >= self.fault.times


class FaultBook:
    """The faults that are armed. Safe to use from several threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._count = 0

    def add(self, fault: Fault) -> int:
        """Arm a fault and return its number."""
        with self._lock:
            self._count += 1
            self._armed.append(_Armed(self._count, fault, Chance(fault.seed)))
            return self._count

    def clear(self, source: str | None = None) -> None:
        """Disarm the faults of a source, or all."""
        with self._lock:
            self._armed = [a for a in self._armed if source not in {None, a.fault.source}]

    def take(self, request: Request) -> list[Fault]:
        """Return the faults that strike this request, each counted once."""
        with self._lock:
            return [armed.fault for armed in self._armed if armed.strikes(request)]

    def listed(self) -> list[dict[str, Any]]:
        """Describe every fault with how many requests it matched and spoilt."""
        with self._lock:
            return [
                {
                    "number": armed.number,
                    "seen": armed.seen,
                    "done": armed.done,
                    "over": armed.over,
                    **msgspec.structs.asdict(armed.fault),
                }
                for armed in self._armed
            ]
