"""The shape of a page's items: which fields there are, of which JSON types, how often null.

Every item of the page counts, none is sampled. Items with the same fields are taken together
and looked at column by column, which is why a page costs some 3 µs an item, decoding included
(docs/data-quality.md has the figures).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

JSON_TYPES: Mapping[type, str] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
}
_NULL = {type(None)}
_DICT = msgspec.json.Decoder(dict[str, Any])
# A dot inside of a key would look like an object in a path.
_DOT_IN_KEY = "\N{ONE DOT LEADER}"


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is accepted of one field.

    Attributes:
        types: JSON types other than null: ``string``, ``number``, ``boolean``, ``object``,
            ``array``; none when nothing but null has been seen.
        required: Whether the key is there whenever the object that holds it is.
        null_rate: The share of nulls that is usual, 0 to 1.
    """

    types: tuple[str, ...] = ()
    required: bool = True
    null_rate: float = 0.0


class Shape(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is accepted of a source's items.

    Attributes:
        fields: By path: ``price``, ``quotes.USD.price``. An object is looked into when one of its
            fields is named here; any other object is a value.
        open: Objects whose keys are data (currencies, chains): a new key there is no new field.
        renamed: Names that operators accepted in place of a field → the field.
        is_table: Every row has the columns of its header; a row that has not is broken, and a
            matter for quarantine. Only what most rows say is a change of shape.
    """

    fields: dict[str, Field]
    open: tuple[str, ...] = ()
    renamed: dict[str, str] = {}
    is_table: bool = False

    @property
    def nests(self) -> frozenset[str]:
        """Return the paths of the objects that are looked into."""
        return frozenset(parent(path) for path in self.fields) - {""}


class Seen(NamedTuple):
    """A field of a page: how many items have it, how many as null, and the types of the others."""

    present: int = 0
    nulls: int = 0
    types: frozenset[str] = frozenset()

    def __add__(self, other: Any) -> "Seen":
        return Seen(
            self.present + other.present, self.nulls + other.nulls, self.types | other.types
        )


class Measured(NamedTuple):
    """What a page's items look like.

    Attributes:
        items: How many were looked at.
        fields: By path.
        together: For each object looked into (``""`` is the item), the sets of keys found in it.
    """

    items: int
    fields: Mapping[str, Seen]
    together: Mapping[str, Sequence[frozenset[str]]]

    def holders(self, path: str) -> int:
        """Return how many objects there are that could have the field."""
        above = parent(path)
        if not above:
            return self.items
        seen = self.fields.get(above, Seen())
        return seen.present - seen.nulls


def parent(path: str) -> str:
    """Return the path of the object that holds a field; empty for the item itself."""
    return path.rpartition(".")[0]


def path_of(prefix: str, key: str) -> str:
    """Return the path of a key; ``prefix`` is empty or ends in a dot."""
    return prefix + key.replace(".", _DOT_IN_KEY)


def keys_of(path: str) -> list[str]:
    """Return the keys that lead to a field."""
    return [key.replace(_DOT_IN_KEY, ".") for key in path.split(".")]


def decode(payloads: Iterable[bytes]) -> list[dict[str, Any]]:
    """Decode the items that are JSON objects; what cannot be read is quarantine's business.

    Numbers become floats: only their being numbers matters here, and nothing of it is stored.
    """
    rows = []
    for payload in payloads:
        try:
            rows.append(_DICT.decode(payload))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return rows


def rename(row: dict[str, Any], found: str, expected: str) -> None:
    """Move a field to another name in the same object, unless the object has that one too."""
    holder: Any = row
    *above, old = keys_of(found)
    for key in above:
        holder = holder.get(key)
        if type(holder) is not dict:
            return
    new = keys_of(expected)[-1]
    if old in holder and new not in holder:
        holder[new] = holder.pop(old)


def measure(rows: Sequence[Mapping[str, Any]], nests: frozenset[str]) -> Measured:
    """Look at every item of a page.

    Args:
        rows: Decoded items.
        nests: Paths of the objects to look into.
    """
    measured = Measured(len(rows), {}, {})
    _measure(rows, "", nests, measured)
    return measured


def _measure(
    rows: Sequence[Mapping[str, Any]], prefix: str, nests: frozenset[str], into: Measured
) -> None:
    fields: Any = into.fields
    alike: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        alike[tuple(row)].append(row)
    inner: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    into_together: list[frozenset[str]] = []
    together: Any = into.together
    together[prefix[:-1]] = into_together
    for keys, members in alike.items():
        names = [path_of("", key) for key in keys]
        into_together.append(frozenset(names))
        columns = zip(*(row.values() for row in members), strict=True)
        for name, column in zip(names, columns, strict=True):
            path = f"{prefix}{name}"
            seen = _seen(column)
            fields[path] = fields[path] + seen if path in fields else seen
            if path in nests:
                inner[path].extend(value for value in column if type(value) is dict)
    for path, objects in inner.items():
        _measure(objects, f"{path}.", nests, into)


def _seen(column: Sequence[Any]) -> Seen:
    kinds = set(map(type, column))
    nulls = column.count(None) if type(None) in kinds else 0
    return Seen(len(column), nulls, frozenset(map(JSON_TYPES.__getitem__, kinds - _NULL)))


def learned(measured: Measured, *, is_table: bool) -> Shape:
    """Take what was seen for what is usual: the first shape of a source that declares none."""
    found = {
        path: Field(
            types=tuple(sorted(seen.types)),
            required=seen.present == measured.holders(path),
            null_rate=round(seen.nulls / seen.present, 4) if seen.present else 0.0,
        )
        for path, seen in measured.fields.items()
        if not is_table or seen.present * 2 > measured.items
    }
    if is_table:
        found = {
            path: msgspec.structs.replace(field, required=True) for path, field in found.items()
        }
    return Shape(fields=found, is_table=is_table)


def merge(one: Shape, other: Shape) -> Shape:
    """Accept what either accepts; the order does not matter but for a name renamed twice."""
    fields = dict(one.fields)
    for path, field in other.fields.items():
        mine = fields.get(path)
        fields[path] = field if mine is None else _either(mine, field)
    return Shape(
        fields=fields,
        open=tuple(sorted({*one.open, *other.open})),
        renamed={**one.renamed, **other.renamed},
        is_table=one.is_table or other.is_table,
    )


def _either(one: Field, other: Field) -> Field:
    return Field(
        types=tuple(sorted({*one.types, *other.types})),
        required=one.required and other.required,
        null_rate=max(one.null_rate, other.null_rate),
    )
