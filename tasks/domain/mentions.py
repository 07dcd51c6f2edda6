"""Which assets a headline speaks of, with a score.

What links, from the surest down: a name with its ticker (``Bitcoin (BTC)``), ``$BTC``, ``(BTC)``,
a name of several words, a name of one word, and bare capitals (``BTC``) for the largest assets
alone. A wrong link misleads whoever asks for an asset's news and a missing one only shortens the
list, so every doubt is decided against the link:

- A ticker stands for the asset that owns its bare form, and for no other.
- A name links only if its asset has a good rank (:data:`tasks.domain.mention_names.NAME_RANK`):
  among 18,000 assets there is one for nearly every word of the language, and nobody writes about
  it. A name shared by such assets links to the only one that owns its ticker, or to none.
- A name that is a common word ("one", "link", "near") never links without its ticker.
- The longest match counts, and what it covers names nothing else: "Bitcoin Cash" is not Bitcoin.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from tasks.domain import mention_names
from tasks.domain.mention_names import SHORTEST_NAME, WORD, Name, Subject
from tasks.domain.mention_words import (
    ACRONYMS,
    CAPITALISED_NAMES,
    COMMON_WORDS,
    FORKS,
    STOCK_TICKERS,
)

TICKER_RANK = 1000
"""``(XYZ)`` without the name before it is a ticker only for assets from this rank up."""
BARE_RANK = 50
"""Capitals alone are evidence, and weak, only for assets from this rank up."""
LOWER_CASE_RANK = 20
"""From this rank up a name counts in lower case too: "bitcoin"."""
MOST_MENTIONS = 20
"""An entry that names more assets is a price list; the surest are kept."""

NAME_AND_TICKER = Decimal("1.0")
CASHTAG = Decimal("0.95")
TICKER_IN_BRACKETS = Decimal("0.9")
LONG_NAME = Decimal("0.85")
SHORT_NAME = Decimal("0.8")
BARE_TICKER = Decimal("0.5")
IN_SUMMARY = Decimal("0.8")
"""A summary also names what the entry is not about."""
LOWEST_SCORE = Decimal("0.45")
"""Bare capitals in a summary alone are too little."""

_URL = re.compile(r"(?:https?://|www\.)\S+")
_CASHTAG = re.compile(r"(?<![\w$])\$([A-Za-z][A-Za-z0-9]{1,14})(?![\w$])")
_BRACKETED = re.compile(r"[(\[]\s*\$?([A-Z0-9][A-Z0-9.]{0,14})\s*[)\]]")
_DOMAIN = re.compile(r"\.(?:com|org|io|net|fi|xyz|eth)\b", re.IGNORECASE)
_SENTENCE_END = frozenset(".!?:;|\"'\u2014\u2013\u201c\u2018\u00ab\u00bb\u2022")
_SHORTEST_LOWER_CASE = 6
_LONG_WORD = 4
_TITLE_CASE_SHARE = 0.6
_SHOUTED_SHARE = 0.6
_SMALL_WORDS = 2
"""So many words an abbreviation may pass over: "Securities and Exchange Commission (SEC)"."""


class Mention(NamedTuple):
    """An asset an entry speaks of, and by which words."""

    asset_id: int
    score: Decimal
    text: str


class _Token(NamedTuple):
    text: str
    folded: str
    start: int
    end: int


class _Found(NamedTuple):
    start: int
    end: int
    mention: Mention


class Index:
    """The assets by ticker and by the first word of their names; made once for many entries."""

    def __init__(self, subjects: Iterable[Subject]) -> None:
        """Take the assets; those that neither own a ticker nor may link by name cost nothing."""
        found = list(subjects)
        self._owners = {s.ticker: s for s in found if s.owns_ticker}
        self._names = mention_names.by_first_word(found)

    def mentions(self, title: str, summary: str | None = None) -> list[Mention]:
        """Return the assets that an entry speaks of, the surest first; each once."""
        best: dict[int, Mention] = {}
        for text, factor in ((title, Decimal(1)), (summary or "", IN_SUMMARY)):
            for found in _Reading(self._owners, self._names, text).mentions():
                score = (found.score * factor).normalize()
                known = best.get(found.asset_id)
                if score >= LOWEST_SCORE and (known is None or known.score < score):
                    best[found.asset_id] = found._replace(score=score)
        return sorted(best.values(), key=lambda m: (-m.score, m.asset_id))[:MOST_MENTIONS]


class _Reading:
    """One text, read for tickers first and then for names in what is left."""

    def __init__(
        self,
        owners: Mapping[str, Subject],
        by_first_word: Mapping[str, Sequence[Name]],
        text: str,
    ) -> None:
        self._owners = owners
        self._names = by_first_word
        self._text = _URL.sub(lambda match: " " * len(match[0]), text)
        self._tokens = [
            _Token(match[0], match[0].casefold(), match.start(), match.end())
            for match in WORD.finditer(self._text)
        ]
        self._is_shouted = _share(self._tokens, str.isupper) >= _SHOUTED_SHARE

    def mentions(self) -> Iterable[Mention]:
        named = list(self._named())
        yield from (name.mention for name in named)
        yield from self._cashtags()
        yield from self._bracketed({name.end: name.mention.asset_id for name in named})
        yield from self._bare(named)

    def _cashtags(self) -> Iterable[Mention]:
        for match in _CASHTAG.finditer(self._text):
            owner = self._owners.get(match[1].upper())
            if owner is not None and owner.ticker not in STOCK_TICKERS:
                yield Mention(owner.asset_id, CASHTAG, match[0])

    def _bracketed(self, names_by_end: Mapping[int, int]) -> Iterable[Mention]:
        for match in _BRACKETED.finditer(self._text):
            owner = self._owners.get(match[1])
            if owner is None:
                continue
            before = self._text[: match.start()].rstrip()
            named = names_by_end.get(len(before)) == owner.asset_id
            if named or _ends_with(before, owner.name):
                start = max(0, len(before) - len(owner.name))
                text = self._text[start : match.end()].strip()
                yield Mention(owner.asset_id, NAME_AND_TICKER, text)
            elif owner.is_within(TICKER_RANK) and self._is_a_ticker(match[1], before):
                yield Mention(owner.asset_id, TICKER_IN_BRACKETS, match[0])

    def _is_a_ticker(self, letters: str, before: str) -> bool:
        """Tell a ticker from the short form of the words before it."""
        if self._is_shouted or letters in ACRONYMS or letters in STOCK_TICKERS:
            return False
        initials = [token.folded[0] for token in self._tokens if token.end <= len(before)]
        return not _abbreviates(letters.casefold(), initials[-len(letters) - _SMALL_WORDS :])

    def _bare(self, named: Sequence[_Found]) -> Iterable[Mention]:
        if self._is_shouted:
            return
        for token in self._tokens:
            owner = self._owners.get(token.text)
            if any(name.start <= token.start < name.end for name in named):
                continue
            if owner is not None and self._may_stand_bare(owner, token):
                yield Mention(owner.asset_id, BARE_TICKER, token.text)

    def _may_stand_bare(self, owner: Subject, token: _Token) -> bool:
        return (
            owner.is_within(BARE_RANK)
            and len(token.text) >= SHORTEST_NAME
            and token.text.isalpha()
            and token.text not in ACRONYMS
            and token.text not in STOCK_TICKERS
            and token.folded not in COMMON_WORDS
            and not self._is_part_of_an_address(token)
        )

    def _named(self) -> Iterable[_Found]:
        """Yield names, the longest first at every word."""
        position = 0
        while position < len(self._tokens):
            name = self._name_at(position)
            if name is None:
                position += 1
                continue
            first, last = self._tokens[position], self._tokens[position + len(name.words) - 1]
            position += len(name.words)
            if self._counts(name, first, last) and not self._goes_on(position, last):
                score = LONG_NAME if len(name.words) > 1 else SHORT_NAME
                text = self._text[first.start : last.end]
                mention = Mention(name.subject.asset_id, score, text)
                yield _Found(first.start, last.end, mention)

    def _name_at(self, position: int) -> Name | None:
        for name in self._names.get(self._tokens[position].folded, ()):
            following = self._tokens[position : position + len(name.words)]
            if tuple(token.folded for token in following) == name.words:
                return name
        return None

    def _counts(self, name: Name, first: _Token, last: _Token) -> bool:
        """Tell whether the words stand in the case, and the place, of a name."""
        written = WORD.findall(self._text[first.start : last.end])
        if self._is_part_of_an_address(first) or self._is_part_of_an_address(last):
            return False
        if name.doubtful and not self._is_telling(name, first, written):
            return False
        if _is_cased(name.written, written):
            return len(written) > 1 or len(written[0]) > SHORTEST_NAME or written[0].isupper()
        return (
            not name.doubtful
            and name.subject.is_within(LOWER_CASE_RANK)
            and len(name.words[0]) >= _SHORTEST_LOWER_CASE
            and name.words[0] not in CAPITALISED_NAMES
        )

    def _is_telling(self, name: Name, first: _Token, written: Sequence[str]) -> bool:
        """Tell whether capitals mean something here: not at the beginning, nor in a Title Case."""
        if self._is_shouted:
            return False
        if any(len(w) > 1 and w.isupper() and w in name.written for w in written):
            return True
        others = [t for t in self._tokens[1:] if t.folded not in name.words]
        return not self._begins(first) and _share(others, str.istitle) < _TITLE_CASE_SHARE

    def _begins(self, token: _Token) -> bool:
        before = self._text[: token.start].rstrip()
        return not before or before[-1] in _SENTENCE_END

    def _goes_on(self, position: int, last: _Token) -> bool:
        """Tell whether the next word makes another coin of it."""
        if position >= len(self._tokens):
            return False
        following = self._tokens[position]
        is_next = self._text[last.end : following.start] == " "
        return is_next and following.folded in FORKS and not following.text.islower()

    def _is_part_of_an_address(self, token: _Token) -> bool:
        return bool(_DOMAIN.match(self._text, token.end) or self._text[: token.start].endswith("@"))


def _is_cased(wanted: Sequence[str], written: Sequence[str]) -> bool:
    """Tell whether capitals stand where the name has them; all capitals will do."""
    return all(
        not want[0].isupper() or have[0].isupper()
        for want, have in zip(wanted, written, strict=True)
    )


def _ends_with(text: str, name: str) -> bool:
    if not text.casefold().endswith(name.casefold()):
        return False
    before = text[: -len(name)]
    return not before or not before[-1].isalnum()


def _share(tokens: Sequence[_Token], holds: Callable[[str], bool]) -> float:
    long = [t.text for t in tokens if len(t.text) >= _LONG_WORD and t.text.isalpha()]
    return sum(map(holds, long)) / len(long) if long else 0.0


def _abbreviates(letters: str, initials: Sequence[str]) -> bool:
    """Tell whether letters are the initials of the last words, small words between left out."""
    wanted = letters.replace(".", "")
    for initial in reversed(initials):
        if wanted and initial == wanted[-1]:
            wanted = wanted[:-1]
    return not wanted
