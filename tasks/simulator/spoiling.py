"""How a fault changes an answer. Values it does not touch keep their exact text."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import msgspec

from tasks.core.clock import Clock
from tasks.simulator.answers import Answer, html_page, refusal
from tasks.simulator.faults import Fault

Item = dict[str, msgspec.Raw]
_FEED = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[Item])


def spoil(answer: Answer, fault: Fault, clock: Clock) -> Answer:
    """Return the answer as the fault leaves it."""
    return _WAYS[fault.kind](answer, fault, clock)


def _status(_answer: Answer, fault: Fault, clock: Clock) -> Answer:
    refused = refusal(fault.source, fault.status, fault.shape)
    if fault.retry_after_s is None:
        return refused
    wait = str(fault.retry_after_s)
    if fault.retry_after_date:
        wait = format_datetime(clock.now() + timedelta(seconds=fault.retry_after_s), usegmt=True)
    return replace(refused, headers={**refused.headers, "Retry-After": wait})


def _cut(answer: Answer, fault: Fault, _clock: Clock) -> Answer:
    return replace(answer, keep=int(len(answer.body) * fault.share))


def _rename(item: Item, fault: Fault) -> Item:
    return {fault.to if name == fault.field else name: raw for name, raw in item.items()}


def _drop(item: Item, fault: Fault) -> Item:
    return {name: raw for name, raw in item.items() if name != fault.field}


def _retype(item: Item, fault: Fault) -> Item:
    if fault.field not in item:
        return item
    written = bytes(item[fault.field]).decode()
    other = "0" if written.startswith('"') else msgspec.json.encode(written).decode()
    return {**item, fault.field: msgspec.Raw(other.encode())}


def _set(item: Item, fault: Fault) -> Item:
    return {**item, fault.field: msgspec.Raw(msgspec.json.encode(fault.value))}


def _nested(change: Callable[[Item, Fault], Item], item: Item, fault: Fault) -> Item:
    """Apply a change to the object that a dotted field lives in."""
    outer, dot, inner = fault.field.partition(".")
    if not dot:
        return change(item, fault)
    deeper = msgspec.structs.replace(fault, field=inner, to=fault.to.rpartition(".")[2])
    changed = _nested(change, _FEED.decode(item[outer]), deeper)
    return {**item, outer: msgspec.Raw(msgspec.json.encode(changed))}


def _every(change: Callable[[Item, Fault], Item]) -> "_Way":
    return lambda answer, fault, _clock: _edited(
        answer, lambda items: [_nested(change, item, fault) for item in items]
    )


def _one(answer: Answer, fault: Fault, _clock: Clock) -> Answer:
    def change(items: list[Item]) -> list[Item]:
        return [
            _nested(_set, item, fault) if place == fault.item else item
            for place, item in enumerate(items)
        ]

    return _edited(answer, change)


def _edited(answer: Answer, change: Callable[[list[Item]], list[Item]]) -> Answer:
    """Change the items of a JSON list, or of a JSON Feed; any other answer is left as it is."""
    body = answer.body
    if body.startswith(b"["):
        return replace(answer, body=msgspec.json.encode(change(_ITEMS.decode(body))))
    if not body.startswith(b"{"):
        return answer
    whole: dict[str, Any] = dict(_FEED.decode(body))
    if "items" in whole:
        whole["items"] = change(_ITEMS.decode(whole["items"]))
    return replace(answer, body=msgspec.json.encode(whole))


_Way = Callable[[Answer, Fault, Clock], Answer]
_WAYS: dict[str, _Way] = {
    "status": _status,
    "delay": lambda answer, fault, _clock: replace(answer, delay_s=fault.seconds),
    "drip": lambda answer, fault, _clock: replace(answer, drip_s=fault.seconds),
    "reset": lambda answer, _fault, _clock: replace(answer, reset=True),
    "truncate": _cut,
    "html": lambda _answer, _fault, _clock: html_page(200),
    "empty": lambda answer, _fault, _clock: replace(answer, body=b""),
    "rename_field": _every(_rename),
    "drop_field": _every(_drop),
    "retype_field": _every(_retype),
    "add_field": _every(_set),
    "bad_item": _one,
    "rank_shift": lambda answer, _fault, _clock: answer,  # it has moved the market already
}
