"""One published price per asset, and what became of every observation that could have made it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import TextClause, text
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


def lock(session: Session, asset_ids: Sequence[int]) -> set[str]:
    """Lock assets, and all that share a ticker with them, in the order of their ids.

    Whoever writes observations does this first: :func:`refresh` writes what became of the
    observations of other sources, and whoever held those while waiting for an asset would wait in
    a circle.

    Returns:
        The tickers whose assets are locked.
    """
    return tickers.lock(session, asset_ids, [])


def refresh(
    session: Session,
    *,
    asset_ids: Sequence[int],
    policies: Mapping[str, SourcePolicy],
    locked: Collection[str] | None = None,
) -> set[int]:
    """Publish anew what the latest observations say of these assets.

    Names follow the source that goes first; at last the tickers' owners are decided again.

    Args:
        session: Of a transaction that locked the assets before it wrote any observation.
        asset_ids: The assets observed, and those that lost an item.
        policies: Of the configured sources. Observations of others are stale, but still there.
        locked: What :func:`lock` returned for these assets; None to lock them here.

    Returns:
        These assets, and those that lost or won a ticker: what is to be published.
    """
    database.make_room(session)
    ids = list(asset_ids)
    precedence = {source: policy.precedence for source, policy in policies.items()}
    renamed = tickers.renamed(session, ids, precedence)
    touched = set(lock(session, ids) if locked is None else locked)
    if renamed:
        touched |= tickers.lock(session, [], renamed)
    # Whoever adds an observation of these assets needs their locks before it commits.
    several = set(session.scalars(_HAVE_SEVERAL, {"ids": arrays.numbers(ids)}))
    weigh(session, consensus_rules.ALONE, [one for one in ids if one not in several], policies)
    weigh(session, consensus_rules.SEVERAL, sorted(several), policies)
    tickers.rename(session, renamed)
    return {*ids, *tickers.decide_owners(session, touched)}


def weigh(
    session: Session,
    rules: TextClause,
    asset_ids: Sequence[int],
    policies: Mapping[str, SourcePolicy],
) -> None:
    """Decide about the observations of these assets; :func:`refresh` knows by which rules."""
    if asset_ids:
        trusted = {
            "sources": list(policies),
            "fresh_for_s": [policy.fresh_for_s for policy in policies.values()],
            "precedences": [policy.precedence for policy in policies.values()],
        }
        session.execute(rules, {"ids": arrays.numbers(asset_ids), **_FIGURES, **trusted})
