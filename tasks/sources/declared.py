"""The shapes that the vendors' documentation promises, from ``data/shapes/<source>.json``."""

from functools import cache
from pathlib import Path

import msgspec

from tasks.core.errors import ConfigurationError
from tasks.domain.shapes import Shape

_DIRECTORY = Path(__file__).resolve().parents[2] / "data" / "shapes"


class Declaration(msgspec.Struct, frozen=True):
    """One file.

    Attributes:
        schema_name: As the source's spec names it.
        documentation: Where the fields are documented.
    """

    schema_name: str
    documentation: str
    shape: Shape


@cache
def declaration(source: str) -> Declaration | None:
    """Return a source's declaration; None for a source whose shape is learned from its pages.

    Raises:
        ConfigurationError: If the file is not a declaration.
    """
    path = _DIRECTORY / f"{source}.json"
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Declaration)
    except msgspec.MsgspecError as exc:
        raise ConfigurationError(f"data/shapes/{path.name} is not a declared shape: {exc}") from exc


def shape(source: str, schema_name: str) -> Shape | None:
    """Return the declared shape of a source's items, if there is one."""
    found = declaration(source)
    return found.shape if found is not None and found.schema_name == schema_name else None
