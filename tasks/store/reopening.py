"""Items whose place is decided anew, although it was settled: because a person said so."""

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from tasks.domain.identity import ItemKey
from tasks.store import linking, links
from tasks.store.linking import LinkOutcome

# Its names stay those it was first seen with. Its price is today's: one from the day it was first
# seen could be compared with nobody's. An item that is all there is of its asset keeps it, for
# nobody else would; whether an operator's item founded the asset is not known any more.
_REOPEN = text(
    f"""
    update asset_links l set settles_at = now() + interval '{links.SETTLING}',
      decided_by = 'resolver', price_usd = coalesce(n.price_usd, l.price_usd),
      observed_at = coalesce(n.observed_at, l.observed_at),
      method = case when l.method <> 'operator' then l.method
        when n.is_alone then 'founded' else 'released' end
    from (
      select o.source, o.external_id, q.price_usd, q.observed_at,
        not exists (select from asset_links x where x.asset_id = o.asset_id
          and (x.source, x.external_id) <> (o.source, o.external_id)) is_alone
      from unnest(cast(:sources as text[]), cast(:external_ids as text[])) i (source, external_id)
      join asset_links o using (source, external_id)
      left join quotes q on q.source = o.source and q.external_id = o.external_id
    ) n
    where l.source = n.source and l.external_id = n.external_id
    returning l.*, (select key from known_ids k
      where (k.source, k.external_id) = (l.source, l.external_id)) known
    """  # noqa: S608 - put together from constants
)


def reopen(
    session: Session, items: Sequence[ItemKey], *, precedence: Mapping[str, int] | None = None
) -> LinkOutcome:
    """Decide anew where items belong, and where their rivals do that may still move.

    The caller holds the lock (see :func:`tasks.store.links.lock`).

    Args:
        session: Of the caller's transaction.
        items: Items with a link; that of an operator is forgotten.
        precedence: Of sources; lower names an asset.
    """
    keys = {"sources": [key[0] for key in items], "external_ids": [key[1] for key in items]}
    reopened = [links.facts(row, row.source) for row in session.execute(_REOPEN, keys)]
    return linking.resolve(session, [], around=reopened, precedence=precedence)
