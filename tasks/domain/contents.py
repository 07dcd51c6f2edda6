"""What a run brought, small enough to be held against another: digests and field types."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from tasks.domain.records import Item

Shape = Mapping[str, frozenset[str]]
"""JSON types by field name: ``object`` ``array`` ``string`` ``boolean`` ``null`` ``number``."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TYPES = {
    b"{": "object",
    b"[": "array",
    b'"': "string",
    b"t": "boolean",
    b"f": "boolean",
    b"n": "null",
}
_DIGEST_BYTES = 8  # chance of one unseen change among 200,000 items: 1 in 9e13


@dataclass
class Contents:
    """The items of a run's answers.

    Attributes:
        digests: Digest of the bytes by the source's own id; items without an id are left out, and
            of one that came twice the last counts.
    """

    digests: dict[str, bytes] = field(default_factory=dict)
    _types: dict[str, set[bytes]] = field(default_factory=dict)

    def add(self, items: Iterable[Item]) -> None:
        """Add the items of one page."""
        for item in items:
            if item.external_id is None:
                continue
            self.digests[item.external_id] = hashlib.blake2b(
                item.payload, digest_size=_DIGEST_BYTES
            ).digest()
            self._note_types(item.payload)

    def _note_types(self, payload: bytes) -> None:
        for name, value in _FIELDS.decode(payload).items():
            self._types.setdefault(name, set()).add(bytes(memoryview(value)[:1]))

    @property
    def shape(self) -> Shape:
        """Return which fields the items have, and of which types."""
        return {
            name: frozenset(_TYPES.get(first, "number") for first in firsts)
            for name, firsts in self._types.items()
        }
