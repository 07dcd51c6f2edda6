"""Feed entries: one row an entry, updated when its text changes upstream."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

_DIGESTS = text(
    "select external_id, digest from news where source = :source and guid_hash = any(:hashes)"
)
# The page fetched last has the last word, so that a replay of an old one undoes no later edit.
_UPSERT = text(
    """
    insert into news as n (source, external_id, guid_hash, feed, title, url, summary, author,
      published_at, digest, run_id, ingested_at)
    select distinct on (s.external_id) :source, s.external_id,
      sha256(convert_to(s.external_id, 'UTF8')), s.feed, s.title, s.url, s.summary, s.author,
      s.published_at, s.digest, s.run_id, coalesce(r.ingested_at, now())
    from staged_news s
    left join run_pages p on p.run_id = s.run_id and p.page = s.page
    left join raw_pages r on r.raw_page_id = p.raw_page_id
    where s.run_id = :run_id and s.page = any(:pages)
    order by s.external_id, s.page desc, s.item desc
    on conflict (source, guid_hash) do update set
      feed = excluded.feed, title = excluded.title, url = excluded.url,
      summary = excluded.summary, author = excluded.author,
      published_at = coalesce(excluded.published_at, n.published_at),
      digest = excluded.digest, run_id = excluded.run_id, ingested_at = excluded.ingested_at,
      updated_at = now()
    where excluded.ingested_at >= n.ingested_at
      and (excluded.digest, excluded.feed, excluded.title, excluded.url, excluded.summary,
        excluded.author, coalesce(excluded.published_at, n.published_at))
      is distinct from (n.digest, n.feed, n.title, n.url, n.summary, n.author, n.published_at)
    returning news_id, (xmax = 0) as is_new
    """
)


class Upserted(NamedTuple):
    """The entries whose text is new or edited, and how many of them are new."""

    news_ids: list[int]
    added: int


def digests(session: Session, source: str, ids: Sequence[str]) -> dict[str, bytes]:
    """Return the digest of each of these entries that is known."""
    hashes = [hashlib.sha256(external_id.encode()).digest() for external_id in ids]
    rows = session.execute(_DIGESTS, {"source": source, "hashes": hashes})
    return {external_id: bytes(digest) for external_id, digest in rows}


def upsert(session: Session, source: str, run_id: UUID, pages: Sequence[int]) -> Upserted:
    """Insert or update the staged entries."""
    rows = session.execute(
        _UPSERT, {"source": source, "run_id": run_id, "pages": list(pages)}
    ).all()
    return Upserted([row.news_id for row in rows], added=sum(row.is_new for row in rows))
