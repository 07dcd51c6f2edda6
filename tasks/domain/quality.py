"""What every record must satisfy, whichever source it comes from.

The limits follow from where a record goes. Text ends in CSV rows for ``COPY``, in which a control
character would shift columns, and in PostgreSQL, which stores no NUL. Numbers end in ``NUMERIC``
and must arrive digit by digit. Dates pick a partition of the history and decide what is fresh.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import (
    Clamped,
    Context,
    Decimal,
    DecimalException,
    Inexact,
    InvalidOperation,
    Overflow,
    Rounded,
    Subnormal,
)
from typing import Any, NamedTuple

from tasks.core.rules import RecordRules
from tasks.domain.records import Quote, Rejection

MAX_ID_CHARS = 200
MAX_SYMBOL_CHARS = 100
MAX_NAME_CHARS = 300
MAX_RANK = 2**31 - 1
MAX_CLOCK_SKEW = timedelta(minutes=10)
"""How far a source's clock may be ahead of ours; a later date is wrong, not early."""
EARLIEST_QUOTE = datetime(2009, 1, 3, tzinfo=UTC)
"""The day of Bitcoin's first block; before it there was no market to observe."""
LATEST_DATE = datetime(9990, 1, 1, tzinfo=UTC)
"""Python cannot move dates between time zones at the very end of its calendar."""

# A number that passes this context unchanged has at most 100 digits and an exponent within ±300:
# four times what any vendor was seen to send (25 digits, 3.8e38), and far inside NUMERIC, which
# holds 131,072 digits before the point and 16,383 after it.
_EXACT = Context(
    prec=100,
    Emin=-300,
    Emax=300,
    traps=[Clamped, Inexact, InvalidOperation, Overflow, Rounded, Subnormal],
)
_SHOWN_CHARS = 60
_CHECKED = Quote._fields[:9]

_BLANKS = re.compile(r"[\t\n\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000 ]+")
# Invisible anywhere: zero-width space, word joiner, byte-order mark, soft hyphen, direction marks.
_INVISIBLE = re.compile(r"[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
# Joiners hold emoji and Indic or Persian letters together, but at the edge of a text join nothing.
_EDGE = " \u200c\u200d"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Fault(NamedTuple):
    """Which rule a value breaks, and a sentence about it without its field's name."""

    rule: str
    reason: str


def clean(text: str) -> str:
    """Drop what cannot be seen and make every run of blanks one space; trim both ends.

    Control characters other than tab and line ends stay, for :func:`text_fault` to find.
    """
    trimmed = text.strip(" ")
    # Printable text has no blank but the space, so most names are done here in 50 ns.
    if trimmed.isprintable() and "  " not in trimmed:
        return trimmed
    return _BLANKS.sub(" ", _INVISIBLE.sub("", text)).strip(_EDGE)


def text_fault(text: str, max_chars: int) -> Fault | None:
    """Say why ``text`` cannot be stored as it is: ``required``, ``width`` or ``control``."""
    if 0 < len(text) <= max_chars and text.isprintable() and not text.isspace():
        return None
    if not clean(text):
        return Fault("required", "is empty or blank")
    if len(text) > max_chars:
        return Fault("width", f"has {len(text)} characters, more than {max_chars}: {shown(text)}")
    if _CONTROL.search(text):
        return Fault("control", f"holds a control character: {shown(text)}")
    return None


def number_fault(number: Decimal | None) -> Fault | None:
    """Say why a number cannot be stored exactly; missing is fine."""
    if number is None:
        return None
    if not number.is_finite():
        return Fault("range", f"is not a finite number: {number}")
    try:
        _EXACT.plus(number)
    except DecimalException:
        return Fault(
            "range", f"has more than 100 digits or an exponent beyond 300: {shown(str(number))}"
        )
    return None


def money_fault(amount: Decimal | None) -> Fault | None:
    """Say why an amount of money cannot be one; missing and zero are fine."""
    fault = number_fault(amount)
    if fault is None and amount is not None and amount < 0:
        return Fault("range", f"is negative: {shown(str(amount))}")
    return fault


def rank_fault(rank: int | None) -> Fault | None:
    """Say why a rank is none; missing is fine."""
    if rank is None or 0 < rank <= MAX_RANK:
        return None
    return Fault("range", f"is not a rank: {shown(str(rank))}")


def date_fault(
    moment: datetime, *, fetched_at: datetime | None, not_before: datetime = EARLIEST_QUOTE
) -> Fault | None:
    """Say why an aware ``moment`` cannot be when something was observed.

    Args:
        moment: What the source says.
        fetched_at: When the page came in; None switches the check for the future off.
        not_before: The first moment that makes sense.
    """
    if moment < not_before:
        return Fault("date", f"is before {not_before.date()}: {moment.isoformat()}")
    latest = LATEST_DATE if fetched_at is None else fetched_at + MAX_CLOCK_SKEW
    if moment > latest:
        return Fault("date", f"is in the future: {moment.isoformat()}")
    return None


def quote_or_rejection(
    draft: Quote, *, fields: Mapping[str, str], fetched_at: datetime | None
) -> Quote | Rejection:
    """Clean a quote as the vendor wrote it, or say what keeps it from being one.

    Args:
        draft: The vendor's values in our places, uncleaned; ``observed_at`` may lack a zone.
        fields: Our names of the fields → the vendor's, for the rejection.
        fetched_at: When the page came in, if known.
    """
    symbol, name, observed_at = clean(draft.symbol), clean(draft.name), draft.observed_at
    if observed_at.tzinfo is None:
        observed_at = observed_at.replace(tzinfo=UTC)
    faults = (  # in the order of _CHECKED
        text_fault(draft.external_id, MAX_ID_CHARS),
        text_fault(symbol, MAX_SYMBOL_CHARS),
        text_fault(name, MAX_NAME_CHARS),
        rank_fault(draft.rank),
        money_fault(draft.price_usd),
        money_fault(draft.market_cap_usd),
        money_fault(draft.volume_24h_usd),
        number_fault(draft.percent_change_24h),
        date_fault(observed_at, fetched_at=fetched_at),
    )
    for field, fault in zip(_CHECKED, faults, strict=True) if any(faults) else ():
        if fault is not None:
            return rejection(draft.external_id, fields[field], fault)
    if observed_at.tzinfo is not UTC:
        observed_at = observed_at.astimezone(UTC)
    if symbol is draft.symbol and name is draft.name and observed_at is draft.observed_at:
        return draft
    return draft._replace(symbol=symbol, name=name, observed_at=observed_at)


def breach(quote: Quote, rules: RecordRules, *, fetched_at: datetime | None) -> Rejection | None:
    """Say which of a source's own rules a quote breaks; fields go by our names.

    Args:
        quote: As it would be loaded.
        rules: Of the source.
        fetched_at: When the page came in, if known.
    """
    for field in rules.required:
        if getattr(quote, field) is None:
            return rejection(quote.external_id, field, Fault("required", "is missing"))
    for field, value, limit in (
        ("symbol", len(quote.symbol), rules.max_symbol_chars),
        ("name", len(quote.name), rules.max_name_chars),
    ):
        if limit is not None and value > limit:
            fault = Fault("width", f"has {value} characters, more than {limit}")
            return rejection(quote.external_id, field, fault)
    price, highest = quote.price_usd, rules.max_price_usd
    if price is not None and highest is not None and price > highest:
        return rejection(quote.external_id, "price_usd", Fault("range", f"is above {highest}"))
    return _skew_breach(quote, rules.max_clock_skew_s, fetched_at)


def _skew_breach(
    quote: Quote, seconds: int | None, fetched_at: datetime | None
) -> Rejection | None:
    if seconds is None or fetched_at is None:
        return None
    if quote.observed_at <= fetched_at + timedelta(seconds=seconds):
        return None
    fault = Fault("date", f"is in the future: {quote.observed_at.isoformat()}")
    return rejection(quote.external_id, "observed_at", fault)


def rejection(external_id: str | None, field: str, fault: Fault) -> Rejection:
    """Put an item into quarantine because ``field``, by the vendor's name, breaks a rule.

    An id that itself breaks a rule is not repeated: quarantine must be able to store it.
    """
    if external_id is not None and text_fault(external_id, MAX_ID_CHARS) is not None:
        external_id = None
    subject = "The item" if field == "*" else field
    return Rejection(external_id, field, fault.rule, f"{subject} {fault.reason}")


def shown(value: Any) -> str:
    """Return a value for a person to read: quoted, in ASCII escapes, and never long."""
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
