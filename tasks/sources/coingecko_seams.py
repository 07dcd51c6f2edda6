"""The seams between CoinGecko's pages, across which coins move while the list is read.

When two coins change places across the seam between a page that was read and one that was not, the
one that fell is seen twice and the one that rose is missed. As pages keep their length, each coin
that is missed leaves one that is seen twice. So a page that holds coins of the page before it is
the sign, and then the page before is asked for once more, for the coins that neither of the two
had. What this cannot see, the next run brings: a coin that falls past a whole page between two
calls, the one that a page loses when a coin above it is delisted, and one that another coin pushes
back across the seam while its page is read again.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from zlib import crc32

import msgspec

from tasks.sources import json_pages
from tasks.sources.base import Cursor

MAX_REREADS = 5
"""In one run. 72 pages four times a day leave 1,360 of a demo plan's 10,000 calls a month, and this
takes 600 of them at most; the seams between the largest coins come first."""
_MARK_BYTES = 4  # chance that two pages of 250 share one by accident: 1 in 69,000


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Where a run stands: its cursor.

    Attributes:
        page: The next page; None when the list is at its end.
        newest: Newest ``last_updated`` so far.
        seen: Fingerprint of the last page, to notice a list that repeats itself.
        marks: The coins of the last page.
        again: The page that is to be read again first.
        before: The coins of that page.
        moved: Seams across which coins moved.
        reread: Those that were read again.
        recovered: Coins found by that.
    """

    page: int | None = 1
    newest: str | None = None
    seen: str = ""
    marks: str = ""
    again: int | None = None
    before: str = ""
    moved: int = 0
    reread: int = 0
    recovered: int = 0

    def cursor(self) -> Cursor | None:
        """Return what the run's next request needs; None when there is none to make."""
        return None if self.page is None and self.again is None else asdict(self)

    def checkpoint(self, pages: int) -> dict[str, Any]:
        """Return where the source goes on after ``pages`` pages."""
        checkpoint: dict[str, Any] = {"newest": self.newest, "pages": pages}
        if self.moved:
            checkpoint["seams"] = {
                "moved": self.moved,
                "reread": self.reread,
                "recovered": self.recovered,
            }
        return checkpoint

    def turned(self, number: int, ids: Sequence[str | None], *, is_last: bool) -> "Reading":
        """Return where the run stands once page ``number`` with these coins is read."""
        marks = _marks(ids)
        turned = replace(
            self, page=None if is_last else number + 1, seen=fingerprint(ids), marks=_text(marks)
        )
        if not marks & _marks_of(self.marks):
            return turned
        turned = replace(turned, moved=self.moved + 1)
        if self.reread >= MAX_REREADS:
            return turned
        return replace(turned, again=number - 1, before=self.marks)

    def missed(self, coins: Sequence[msgspec.Raw]) -> list[msgspec.Raw]:
        """Return those coins of a page read again that neither it nor the next one had before."""
        known = _marks_of(self.before) | _marks_of(self.marks)
        return [coin for coin in coins if _mark(json_pages.external_id(bytes(coin))) not in known]

    def mended(self, recovered: int | None) -> "Reading":
        """Return where the run stands after the seam; None if it could not be read again."""
        settled = replace(self, again=None, before="")
        if recovered is None:
            return settled
        return replace(settled, reread=self.reread + 1, recovered=self.recovered + recovered)


def fingerprint(ids: Sequence[str | None]) -> str:
    """Return a short text that two pages share only if they hold the same coins in one order."""
    joined = "\n".join(identifier or "" for identifier in ids)
    return hashlib.blake2b(joined.encode(), digest_size=8).hexdigest()


def _mark(identifier: str | None) -> bytes:
    return crc32((identifier or "").encode()).to_bytes(_MARK_BYTES)


def _marks(ids: Sequence[str | None]) -> frozenset[bytes]:
    return frozenset(_mark(identifier) for identifier in ids if identifier)


def _text(marks: frozenset[bytes]) -> str:
    return b64encode(b"".join(sorted(marks))).decode()


def _marks_of(text: str) -> frozenset[bytes]:
    joined = b64decode(text)
    return frozenset(
        joined[start : start + _MARK_BYTES] for start in range(0, len(joined), _MARK_BYTES)
    )
