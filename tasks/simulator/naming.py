"""Invents names, tickers and ids, and keeps both vendors' ids unique."""

import re

from tasks.simulator.chance import Chance
from tasks.simulator.words import (
    ANIMALS,
    CHAINS,
    CODAS,
    COPY_FORMS,
    NICKNAMES,
    NUCLEI,
    ODD_IDS,
    ODD_NAMES,
    ONSETS,
    SUFFIXES,
)

# How a vendor's label differs from the other's; "renamed" leaves only the price in common.
_DIFFERENCES = (
    ("suffix", 0.06),
    ("capitals", 0.008),
    ("spacing", 0.007),
    ("ticker", 0.015),
    ("renamed", 0.005),
)
_NOT_SLUG = re.compile(r"[^a-z0-9]+")


class Namer:
    """Invents names from a stream of chance, none of them twice."""

    def __init__(self, chance: Chance) -> None:
        """Take the stream; draws made here move it on."""
        self._chance = chance
        self._names: set[str] = set()
        self._slugs: dict[str, int] = {}
        self._paprika: dict[str, int] = {}

    def reserve(self, slug: str, paprika_id: str, name: str) -> None:
        """Keep a real coin's name and ids from being invented again."""
        self._slugs[slug] = 1
        self._paprika[paprika_id] = 1
        self._names.add(name)

    def project(self) -> tuple[str, str]:
        """Invent a project: its name and CoinGecko id."""
        name = self._fresh_name()
        return name, self.slug(name)

    def joke(self) -> tuple[str, str]:
        """Invent a coin nobody should mistake for the one whose ticker it carries."""
        name = f"{self._chance.pick(NICKNAMES)} the {self._chance.pick(ANIMALS)}"
        while name in self._names:
            name = f"{name} {self._word()}"
        self._names.add(name)
        return name, self.slug(name)

    def copy(self, original_id: str, symbol: str, name: str) -> tuple[str, str]:
        """Name a wrapped or bridged copy."""
        shape, id_shape = self._chance.pick(COPY_FORMS)
        chain = self._chance.pick(CHAINS)
        words = {"chain": chain, "chain_id": _slugged(chain), "symbol": symbol}
        copied = shape.format(name=name, **words)
        if copied in self._names:
            copied = f"{copied} via {self._word()}"
        self._names.add(copied)
        return copied, self._unique(self._slugs, id_shape.format(id=original_id, **words))

    def odd(self) -> tuple[str, str]:
        """Invent a name, or an id, that breaks naive code."""
        name, slug = self.project()
        if self._chance.happens(0.3):
            return name, self._unique(self._slugs, self._chance.pick(ODD_IDS).format(slug))
        return self._chance.pick(ODD_NAMES).format(name), slug

    def ticker(self, name: str) -> str:
        """Make a lower-case ticker from a name's letters; short ones collide, as real ones do."""
        letters = _NOT_SLUG.sub("", name.lower()) or "coin"
        length = self._chance.pick((3, 4, 4, 5, 5, 6, 6))
        if self._chance.happens(0.5):
            return letters[:length]
        consonants = letters[0] + "".join(c for c in letters[1:] if c not in "aeiouy")
        return (consonants if len(consonants) >= length else letters)[:length]

    def slug(self, name: str) -> str:
        """Make a CoinGecko id, numbered like ``-2`` where the plain one is taken."""
        return self._unique(self._slugs, _slugged(name))

    def paprika_id(self, symbol: str, name: str) -> str:
        """Make a CoinPaprika id, its prefix numbered like ``act3-`` where that is taken."""
        prefix, rest = _slugged(symbol), _slugged(name)
        plain = f"{prefix}-{rest}"
        count = self._paprika.get(plain, 0) + 1
        self._paprika[plain] = count
        return plain if count == 1 else self.paprika_id(f"{prefix}{count}", name)

    def other_words(self, symbol: str, name: str) -> tuple[str, str]:
        """Return the symbol and name of a coin as the second vendor has them, mostly the same."""
        match self._chance.choose(_DIFFERENCES, ""):
            case "suffix":
                name = _without_suffix(name) or f"{name} {self._chance.pick(SUFFIXES)}"
            case "capitals":
                name = name.upper()
            case "spacing":
                name = name.replace(" ", "")
            case "ticker":
                symbol = f"{symbol}{self._chance.pick('XTN2')}"
            case "renamed":
                name = self._fresh_name()
                symbol = self.ticker(name).upper()
            case _:  # most are called the same
                return symbol, name
        return symbol, name

    def _fresh_name(self) -> str:
        name = self._word()
        if self._chance.happens(0.55):
            name = f"{name} {self._chance.pick(SUFFIXES)}"
        while name in self._names:
            name = f"{self._word()} {self._chance.pick(SUFFIXES)}"
        self._names.add(name)
        return name

    def _word(self) -> str:
        syllables = 2 + self._chance.below(2)
        pick = self._chance.pick
        word = "".join(pick(ONSETS) + pick(NUCLEI) for _ in range(syllables)) + pick(CODAS)
        return word.capitalize()

    @staticmethod
    def _unique(taken: dict[str, int], plain: str) -> str:
        count = taken.get(plain, 0) + 1
        taken[plain] = count
        if count == 1:
            return plain
        numbered = f"{plain}-{count}"
        return numbered if numbered not in taken else f"{numbered}-{count}"


def _slugged(text: str) -> str:
    return _NOT_SLUG.sub("-", text.lower()).strip("-") or "coin"


def _without_suffix(name: str) -> str:
    head, _, last = name.rpartition(" ")
    return head if last in SUFFIXES else ""
