"""What an operator can ask of a source's records beyond what every record must satisfy."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class RecordRules:
    """Rules of one source; each is off unless set.

    They can only be stricter than those of :mod:`tasks.domain.quality`, which follow from where
    records are stored.

    Attributes:
        required: Fields, by our names, that must have a value.
        max_symbol_chars: Longest symbol.
        max_name_chars: Longest name.
        max_price_usd: Highest price.
        max_clock_skew_s: How far a date may be ahead of when the page came in.
    """

    required: tuple[str, ...] = ()
    max_symbol_chars: int | None = None
    max_name_chars: int | None = None
    max_price_usd: Decimal | None = None
    max_clock_skew_s: int | None = None


NO_RULES = RecordRules()
REQUIRABLE = ("rank", "price_usd", "market_cap_usd", "volume_24h_usd", "percent_change_24h")
"""Fields of a quote that may be missing otherwise."""
