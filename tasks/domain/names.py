"""What symbols, names and vendors' ids say once spelling, case and decoration are taken away."""

import hashlib
import re
import unicodedata
from functools import lru_cache

NAMELESS_TICKER = "UNNAMED"
MAX_TICKER = 40
MAX_SLUG = 80
PLAIN_SLUG_SOURCE = "coingecko"
"""Its ids are used as slugs as they stand; those of other sources carry the source's name, so that
no two items can ever give the same slug, whichever is seen first."""
PREFIXED_ID_SOURCES = frozenset({"coinpaprika"})
"""Sources whose ids are ``<symbol at listing>-<slug>``."""

# Words that nearly every project uses, so that sharing one says nothing.
GENERIC_WORDS = frozenset(
    {"ai", "and", "app", "cash", "chain", "coin", "com", "crypto", "dao", "defi", "digital"}
    | {
        "dollar",
        "eur",
        "euro",
        "usd",
        "exchange",
        "finance",
        "foundation",
        "game",
        "games",
        "global",
        "inu",
        "io",
        "lab",
        "labs",
    }
    | {"money", "network", "of", "platform", "project", "protocol", "swap", "the", "token", "world"}
)
# Words that make a copy, a receipt or another version of a coin: a coin of its own, not the coin.
MARKS = {
    "allbridge": "bridged",
    "anyswap": "bridged",
    "axelar": "bridged",
    "bridge": "bridged",
    "bridged": "bridged",
    "celer": "bridged",
    "multichain": "bridged",
    "portal": "bridged",
    "pos": "bridged",
    "wormhole": "bridged",
    "peg": "pegged",
    "pegged": "pegged",
    "staked": "staked",
    "wrapped": "wrapped",
    "legacy": "old",
    "old": "old",
    "v1": "old",
    "v2": "v2",
    "v3": "v3",
}
# What a path segment, a query or the ``TICKER~slug`` form itself would misread.
_UNSAFE = re.compile(r"[~/\\?#%&+\"'`<>{}|^\[\]:;,=@\s]+")
_NOT_SLUG = re.compile(r"[^A-Za-z0-9_-]")
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@lru_cache(maxsize=1 << 12)
def ticker(symbol: str) -> str:
    """Return the symbol as it stands in a wire id: upper case, never empty, safe in a path.

    Emoji and ``$`` stay. Different symbols may give one ticker (``N/A`` and ``N-A``): they then
    compete for its bare form like any two assets of one ticker.
    """
    if symbol.isascii() and symbol.isalnum():  # as nearly all are; in a tenth of the time
        return symbol.upper()[:MAX_TICKER]
    text = unicodedata.normalize("NFKC", symbol)
    text = "".join(char for char in text if unicodedata.category(char) not in {"Cc", "Cf", "Cn"})
    text = _UNSAFE.sub("-", text).strip("-").upper()[:MAX_TICKER]
    return text if text.strip(".") else NAMELESS_TICKER


def slug(source: str, external_id: str) -> str:
    """Return the item's own slug: two different items never give the same one."""
    plain = _NOT_SLUG.sub("-", external_id)[:MAX_SLUG]
    if plain != external_id:
        plain = f"{plain}.h{hashlib.sha256(external_id.encode()).hexdigest()[:12]}"
    return plain if source == PLAIN_SLUG_SOURCE else f"{plain}.{source}"


@lru_cache(maxsize=1 << 12)
def key(text: str) -> str:
    """Return the letters and digits alone: NFKD, case folded, marks dropped."""
    if text.isascii():
        return _NOT_ALPHANUMERIC.sub("", text.lower())
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(char for char in folded if char.isalnum())


def symbol_key(symbol: str) -> str:
    """Return what equal symbols share; one without any letter stands for itself."""
    return key(symbol) or ticker(symbol)


def words(text: str) -> frozenset[str]:
    """Return the words of a name or an id, camel case split and unsplit."""
    return frozenset(_split(text)) | frozenset(_split(_CAMEL.sub(" ", text)))


def marks(text: str) -> frozenset[str]:
    """Return what the words say of the coin's nature: bridged, wrapped, old and the like."""
    return frozenset(MARKS[word] for word in _split(text) if word in MARKS)


def split_id(source: str, external_id: str) -> tuple[str, str]:
    """Return the symbol an id begins with (empty if its source does not do so) and the rest."""
    if source in PREFIXED_ID_SOURCES and "-" in external_id:
        prefix, _, rest = external_id.partition("-")
        return prefix, rest
    return "", external_id


def _split(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKD", text).casefold()
    kept = (
        char if char.isalnum() else "" if unicodedata.combining(char) else " " for char in folded
    )
    return "".join(kept).split()
