"""Which column of a file holds which field of a quote."""

from collections.abc import Iterable, Mapping, Sequence

# In order of preference: a file often has several columns that could serve, and the plain name is
# then not the best one. CoinGecko's ``price_change_24h`` is in dollars and stands beside the
# percentage; ``created_at`` stands beside the date of the figures; ``currency`` is the coin in some
# files and, beside a symbol, the money in others.
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "external_id": ("id", "coin_id", "coingecko_id", "coinpaprika_id"),
    "symbol": ("symbol", "ticker", "coin_symbol"),
    "name": ("name", "coin_name", "coin", "cryptocurrency", "crypto", "asset", "token", "currency"),
    "rank": ("market_cap_rank", "rank", "cmc_rank", "#"),
    "price_usd": (
        "price_usd", "current_price", "price", "usd_price", "last_price", "last", "close",
        "close_usd",
    ),
    "market_cap_usd": ("market_cap_usd", "market_cap", "usd_market_cap", "marketcap"),
    "volume_24h_usd": (
        "volume_24h_usd", "volume_24h", "24h_volume", "volume_usd", "usd_24h_vol", "total_volume",
        "volume",
    ),
    "percent_change_24h": (
        "percent_change_24h", "price_change_percentage_24h", "price_change_24h_percent",
        "usd_24h_change", "change_24h_%", "24h_%", "%_24h", "24h_change_%", "change_percent_24h",
        "price_change_24h", "change_24h", "24h_change",
    ),
    "observed_at": (
        "last_updated", "updated_at", "observed_at", "timestamp", "unix", "unix_timestamp",
        "datetime", "date_time", "snapped_at", "date", "time", "created_at",
    ),
    "money": ("currency", "vs_currency", "quote_currency"),
}  # fmt: skip

_DROPPED = str.maketrans("", "", " _-.()$\u00a0\t\r\n")
_UNNAMED = "column_"


def folded(name: str) -> str:
    """Return a header name without case, blanks, underscores and brackets: ``Market Cap ($)`` → ``marketcap``."""
    return name.translate(_DROPPED).casefold()


_FOLDED = {field: tuple(folded(alias) for alias in aliases) for field, aliases in _ALIASES.items()}
_KNOWN = frozenset(alias for aliases in _FOLDED.values() for alias in aliases)


def recognised(cells: Iterable[str]) -> int:
    """Count the cells that a header would hold."""
    return sum(folded(cell) in _KNOWN for cell in cells)


def names(cells: Sequence[str]) -> tuple[str, ...]:
    """Return a name for every column: the header's, trimmed; made up where blank; told apart where repeated."""
    taken: dict[str, int] = {}
    result = []
    for number, cell in enumerate(cells, start=1):
        name = cell.strip().strip("\ufeff") or f"{_UNNAMED}{number}"
        taken[name] = taken.get(name, 0) + 1
        result.append(name if taken[name] == 1 else f"{name} ({number})")
    return tuple(result)


def match(columns: Iterable[str]) -> dict[str, str]:
    """Map our names of fields to the file's columns; a field without a column is left out.

    ``money`` is the column that says in which currency the figures are.
    """
    by_alias: dict[str, str] = {}
    for column in columns:
        by_alias.setdefault(folded(column), column)
    matched = {
        field: next(by_alias[alias] for alias in aliases if alias in by_alias)
        for field, aliases in _FOLDED.items()
        if any(alias in by_alias for alias in aliases)
    }
    if matched.get("name") == matched.get("money") and "symbol" in matched:
        matched.pop("name", None)
    return matched
