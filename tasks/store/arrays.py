"""Arrays as PostgreSQL reads them from text.

The driver writes a list as ``ARRAY[...]``, which the server parses and weighs element by element:
with thousands of them that took longer than some of the statements they were for.
"""

from collections.abc import Iterable


def numbers(values: Iterable[int]) -> str:
    """Return whole numbers as text that can be cast to ``bigint[]``."""
    return "{" + ",".join(map(str, values)) + "}"


def texts(values: Iterable[str]) -> str:
    """Return texts as text that can be cast to ``text[]``."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"
