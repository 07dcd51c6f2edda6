"""What becomes of items that deviate from the accepted shape: the four contract modes.

In every mode but ``freeze`` a field under another name is first given its own name back: what
fits then has no deviation left.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from tasks.domain import drift, shapes
from tasks.domain.drift import Deviation, Finding
from tasks.domain.shapes import Shape

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL = msgspec.Raw(b"null")
_FIRST_BYTES = {
    b'"': "string",
    b"{": "object",
    b"[": "array",
    b"t": "boolean",
    b"f": "boolean",
    b"n": "null",
}
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class ContractMode(StrEnum):
    """How strictly a source's accepted shape is meant.

    Attributes:
        EVOLVE: Take what comes: every item that makes a record is loaded, the drift is logged.
        FREEZE: A page of another structure fails the run before anything of it is staged; an
            operator accepts the drift, and the next run goes on with the stored page.
        DISCARD_ROW: Items that deviate go to quarantine under the rule ``drift``; the others load.
        DISCARD_VALUE: Values that deviate are set aside: an unknown field is left out, a value of
            another type becomes null; the item is loaded with what is left.
    """

    EVOLVE = "evolve"
    FREEZE = "freeze"
    DISCARD_ROW = "discard_row"
    DISCARD_VALUE = "discard_value"


class Judged(NamedTuple):
    """A page's items after the contract.

    Attributes:
        payloads: What to normalise, in the order of the items.
        deviants: Items to put in quarantine instead, by their place in ``payloads``.
        finding: None when the page is what was accepted.
    """

    payloads: Sequence[bytes]
    deviants: Mapping[int, Deviation]
    finding: Finding | None


def judge(payloads: Sequence[bytes], accepted: Shape, mode: ContractMode) -> Judged:
    """Compare a page's items with the accepted shape and do what the mode says.

    A table's fields keep their names: what a header means is for its connector to know. ``freeze``
    is the caller's to enforce; here it changes nothing.
    """
    payloads = _all_renamed(payloads, accepted, accepted.renamed)
    finding = drift.examine(payloads, accepted)
    if finding is None or mode is ContractMode.FREEZE:
        return Judged(payloads, {}, finding)
    names = {match.found: match.expected for match in finding.matches}
    payloads = _all_renamed(payloads, accepted, names)
    if mode is ContractMode.DISCARD_VALUE:
        payloads = [conforming(payload, accepted) for payload in payloads]
    deviants: dict[int, Deviation] = {}
    if mode is ContractMode.DISCARD_ROW:
        found = (
            (place, drift.deviation(payload, accepted)) for place, payload in enumerate(payloads)
        )
        deviants = {place: deviation for place, deviation in found if deviation is not None}
    return Judged(payloads, deviants, finding)


def _all_renamed(
    payloads: Sequence[bytes], accepted: Shape, names: Mapping[str, str]
) -> Sequence[bytes]:
    if accepted.is_table or not names:
        return payloads
    return [renamed(payload, names) for payload in payloads]


def renamed(payload: bytes, names: Mapping[str, str]) -> bytes:
    """Give the fields of an item their own names back; values keep every byte.

    Args:
        payload: The item as JSON text.
        names: Path under which a field is found → path under which it is expected.
    """
    try:
        item: dict[str, Any] = dict(_OBJECT.decode(payload))
        # An object first, for the paths inside of it are those it has under its own name.
        for found, expected in sorted(names.items(), key=lambda pair: pair[0].count(".")):
            _open(item, shapes.keys_of(found)[:-1])
            shapes.rename(item, found, expected)
    except UNREADABLE:
        return payload
    return msgspec.json.encode(item)


def _open(item: dict[str, Any], path: Sequence[str]) -> None:
    """Decode the objects on the way, one level each."""
    holder = item
    for key in path:
        value = holder.get(key)
        if isinstance(value, msgspec.Raw) and _type_of(value) == "object":
            value = holder[key] = dict(_OBJECT.decode(value))
        if not isinstance(value, dict):
            return
        holder = value


def conforming(payload: bytes, accepted: Shape) -> bytes:
    """Leave out of an item what nobody accepted, and make values of another type null."""
    try:
        return msgspec.json.encode(_conforming(_OBJECT.decode(payload), "", accepted))
    except UNREADABLE:
        return payload


def _conforming(item: Mapping[str, msgspec.Raw], prefix: str, accepted: Shape) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in item.items():
        path = shapes.path_of(prefix, key)
        field, kind = accepted.fields.get(path), _type_of(value)
        if field is None:
            if prefix[:-1] in accepted.open:
                kept[key] = value
        elif field.types and kind not in (*field.types, "null"):
            kept[key] = _NULL
        elif kind == "object" and path in accepted.nests:
            kept[key] = _conforming(_OBJECT.decode(value), f"{path}.", accepted)
        else:
            kept[key] = value
    return kept


def _type_of(value: msgspec.Raw) -> str:
    return _FIRST_BYTES.get(bytes(memoryview(value)[:1]), "number")
