"""Numbers as people and spreadsheets write them, read digit by digit.

``$39,712.91``, ``+2.01%``, ``739.26B``, ``1.83E+11``, ``1.234,56``: exact, never through float.
What can be read in two ways, and what holds more than one number, is refused and not guessed.
"""

import re
from decimal import Decimal

MISSING = frozenset(
    (
        "",
        "-",
        "--",
        "- -",
        "n/a",
        "na",
        "#n/a",
        "nan",
        "null",
        "none",
        "nil",
        "?",
        "\u2014",
        "\u2013",
    )
)
"""Cells that mean *no value*, lower case. For numbers only: all of them are somebody's symbol."""

_SCALES = {"k": 3, "m": 6, "b": 9, "bn": 9, "t": 12}
# A sign may stand before or behind the dollar; digits carry separators of one or two kinds.
_SHAPE = re.compile(
    r"""
    (?P<sign>[+-]?) \s* (?:US)? \$? \s* (?P<inner>[+-]?)
    (?P<digits>(?:\d|[.,]\d|['\u2019_\u00a0\u2009\u202f\x20](?=\d{3}))[\d.,'\u2019_\u00a0\u2009\u202f\x20]*?)
    (?:e(?P<exponent>[+-]?\d{1,6}))?
    \s* (?P<scale>k|m|bn|b|t)? \s* (?:%|USD|\$)?
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_GROUPED = {
    mark: re.compile(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+", re.ASCII) for mark in ".,' _"
}
_OTHER_MARK = {".": ",", ",": "."}
_PLAIN = re.compile(r"\d+|", re.ASCII)
_USUAL = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d{1,6})?", re.ASCII | re.IGNORECASE)
_SPACES = re.compile("[\u00a0\u2009\u202f]")


def parse(text: str, *, decimal_mark: str = ".") -> Decimal | None:
    """Read a number, or None where the cell says there is none.

    Args:
        text: As written.
        decimal_mark: ``.`` or ``,``: what the rest of the file shows ``1,234`` and ``1.234`` to
            mean; empty when it does not show it, and then those two are refused.

    Raises:
        ValueError: With a sentence without its subject.
    """
    text = text.strip().replace("\u2212", "-")
    if decimal_mark == "." and _USUAL.fullmatch(text):
        return Decimal(text)
    if text.casefold() in MISSING:
        return None
    match = _SHAPE.fullmatch(text)
    if match is None or (match["sign"] and match["inner"]):
        raise ValueError("is not one number")
    digits = _undecorated(match["digits"], decimal_mark)
    exponent = int(match["exponent"] or 0) + _SCALES.get((match["scale"] or "").lower(), 0)
    sign = match["sign"] or match["inner"]
    return Decimal(f"{sign}{digits}e{exponent}" if exponent else f"{sign}{digits}")


def evidence(text: str) -> str:
    """Return the decimal mark that a number proves by its shape; empty when it proves nothing.

    ``0,5`` and ``1.234,56`` prove a comma, ``100.94`` a point, ``1,234`` nothing.
    """
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        return ""
    digits = match["digits"]
    marks = [character for character in digits if character in ".,"]
    if not marks:
        return ""
    # Of two kinds the last one is the decimal mark; one kind several times separates thousands.
    is_repeated = len(marks) > 1 and len(set(marks)) == 1
    mark = _OTHER_MARK[marks[-1]] if is_repeated else marks[-1]
    whole, _, fraction = digits.partition(mark)
    is_group = len(fraction) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0")  # noqa: PLR2004
    if len(marks) == 1 and is_group:
        return ""
    return mark if _plain(digits, mark) else ""


def _undecorated(digits: str, decimal_mark: str) -> str:
    """Return digits with a decimal point at most, or refuse."""
    digits = _SPACES.sub(" ", digits).replace("\u2019", "'")
    mark = evidence(digits) or decimal_mark
    if not mark and ("," in digits or "." in digits):
        raise ValueError("can be read with a decimal comma and with a thousands comma")
    plain = _plain(digits, mark)
    if not plain:
        raise ValueError("is not one number")
    return plain


def _plain(digits: str, mark: str) -> str:
    """Return digits without separators and with a point; empty if they are not well grouped."""
    whole, found, fraction = digits.rpartition(mark) if mark else ("", "", "")
    if not found:
        whole, fraction = digits, ""
    separator = next((character for character in whole if not character.isdigit()), "")
    if separator and (separator == mark or not _GROUPED[separator].fullmatch(whole)):
        return ""
    if not _PLAIN.fullmatch(fraction) or not (whole or fraction):
        return ""
    whole = whole.replace(separator, "") if separator else whole
    return f"{whole or '0'}.{fraction}" if fraction else whole
