"""One published price per asset, and what became of every observation that could have made it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from tasks.domain import consensus as figures
from tasks.store import arrays, consensus_rules, database, tickers


@dataclass(frozen=True, kw_only=True)
class SourcePolicy:
    """How far a source is trusted.

    Attributes:
        fresh_for_s: Seconds after its timestamp during which an observation counts as fresh.
        precedence: Of two equal sources the lower one goes first.
    """

    fresh_for_s: int
    precedence: int


_HAVE_SEVERAL = text(
    """
    select asset_id from quotes join unnest(cast(:ids as bigint[])) i (asset_id) using (asset_id)
    group by asset_id having count(*) > 1
    """
)
_FIGURES = {
    "alone": figures.ALONE,
    "tolerance": figures.TOLERANCE,
    "mad_factor": figures.MAD_FACTOR,
    "readmit_share": figures.READMIT_SHARE,
    "hold_factor": figures.HOLD_FACTOR,
    "same_level": figures.SAME_LEVEL,
    "hold_memory": figures.HOLD_MEMORY,
    "future_grace": figures.FUTURE_GRACE,
    "confidence_by_count": list(figures.CONFIDENCE_BY_COUNT),
    "confidence_lost": figures.CONFIDENCE_LOST_WITHIN,
    "confidence_if_disagreeing": figures.CONFIDENCE_IF_DISAGREEING,
    "confidence_if_stale": figures.CONFIDENCE_IF_STALE,
    "confidence_if_held": figures.CONFIDENCE_IF_HELD,
}


def refresh(
    session: Session, *, asset_ids: Sequence[int], policies: Mapping[str, SourcePolicy]
) -> set[int]:
    """Publish anew what the latest observations say of these assets.

    Names follow the source that goes first; at last the tickers' owners are decided again.

    Args:
        session: Of a transaction that holds identity since before it wrote any observation; see
            :func:`tasks.store.links.lock`.
        asset_ids: The assets observed, and those that lost an item.
        policies: Of the configured sources. Observations of others are stale, but still there.

    Returns:
        These assets, and those that lost or won a ticker: what is to be published.
    """
    database.make_room(session)
    ids = list(asset_ids)
    several = set(session.scalars(_HAVE_SEVERAL, {"ids": arrays.numbers(ids)}))
    alone = [one for one in ids if one not in several]
    displayed = weigh(session, consensus_rules.ALONE, alone, policies)
    displayed += weigh(session, consensus_rules.SEVERAL, sorted(several), policies)
    disputed = tickers.rename(session, tickers.renamed(displayed))
    return {*ids, *tickers.decide_owners(session, ids, disputed)}


def weigh(
    session: Session,
    rules: TextClause,
    asset_ids: Sequence[int],
    policies: Mapping[str, SourcePolicy],
) -> list[Row[Any]]:
    """Decide about the observations of these assets; :func:`refresh` knows by which rules.

    Returns:
        What may be called otherwise now; see :func:`tasks.store.tickers.renamed`.
    """
    if not asset_ids:
        return []
    trusted = {
        "sources": list(policies),
        "fresh_for_s": [policy.fresh_for_s for policy in policies.values()],
        "precedences": [policy.precedence for policy in policies.values()],
    }
    decided = session.execute(rules, {"ids": arrays.numbers(asset_ids), **_FIGURES, **trusted})
    return list(decided.all())
