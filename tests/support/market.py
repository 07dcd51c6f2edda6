"""Batches of quotes put through the store as the load stage does it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from tasks.domain.identity import ItemFacts
from tasks.domain.records import Quote
from tasks.store import consensus, linking, quotes, staging
from tasks.store.consensus import SourcePolicy
from tasks.store.linking import LinkOutcome
from tasks.store.staging import Staged, StagedPage
from tasks.store.tables import Run, RunPage

POLICIES = {
    "coingecko": SourcePolicy(fresh_for_s=3600, precedence=10),
    "coinpaprika": SourcePolicy(fresh_for_s=3600, precedence=20),
    "csv": SourcePolicy(fresh_for_s=86400, precedence=30),
}


def quote(external_id: str, symbol: str, name: str, price: Any = "1", **fields: Any) -> Quote:
    """A quote observed just now; ``age`` (seconds) makes it older, ``cap`` is the market cap."""
    observed_at = fields.pop("at", None) or datetime.now(UTC) - timedelta(
        seconds=fields.pop("age", 0)
    )
    cap = fields.pop("cap", None)
    return Quote(
        external_id=external_id,
        symbol=symbol,
        name=name,
        rank=fields.get("rank"),
        price_usd=None if price is None else Decimal(price),
        market_cap_usd=None if cap is None else Decimal(cap),
        volume_24h_usd=fields.get("volume"),
        percent_change_24h=fields.get("change"),
        observed_at=observed_at,
        contracts=fields.get("contracts"),
    )


def stage(session: Session, source: str, pages: Sequence[Iterable[Quote]]) -> UUID:
    """Put pages of quotes in staging, in a run of their own."""
    run_id = session.scalars(
        insert(Run).returning(Run.run_id),
        [{"source": source, "trigger": "cli", "status": "success"}],
    ).one()
    for page in range(len(pages)):
        session.execute(insert(RunPage), [{"run_id": run_id, "page": page, "request_page": page}])
    staged = {
        page: StagedPage(
            Staged(item, repr(quote).encode(), quote, _facts(source, quote).labels())
            for item, quote in enumerate(content)
        )
        for page, content in enumerate(pages)
    }
    staging.stage(session, "quotes", run_id, staged)
    return run_id


def _facts(source: str, quote: Quote) -> ItemFacts:
    return ItemFacts(source, quote.external_id, quote.symbol, quote.name, contracts=quote.contracts)


def load(
    session: Session,
    source: str,
    *pages: Iterable[Quote],
    policies: Mapping[str, SourcePolicy] = POLICIES,
) -> LinkOutcome:
    """Load pages of quotes as one batch."""
    run_id = stage(session, source, pages)
    numbers = range(len(pages))
    outcome = linking.link_staged(session, source=source, run_id=run_id, pages=numbers)
    quotes.observe(session, source, run_id, numbers)
    touched = sorted({*outcome.observed_assets, *outcome.changed_assets})
    consensus.refresh(session, asset_ids=touched, policies=policies)
    return outcome


def asset(session: Session, source: str, external_id: str) -> Any:
    """Return the asset an item is linked to."""
    return session.execute(
        text(
            "select a.* from assets a join asset_links l using (asset_id)"
            " where l.source = :source and l.external_id = :external_id"
        ),
        {"source": source, "external_id": external_id},
    ).one()


def uses(session: Session) -> dict[tuple[str, str], str]:
    """Return what became of every observation."""
    rows = session.execute(text("select source, external_id, use from quotes"))
    return {(source, external_id): use for source, external_id, use in rows}


def partition(session: Session) -> dict[str, frozenset[tuple[str, str]]]:
    """Return the items of every asset, by its wire id."""
    rows = session.execute(
        text(
            "select a.wire_id, array_agg(l.source order by l.source, l.external_id),"
            " array_agg(l.external_id order by l.source, l.external_id)"
            " from assets a left join asset_links l using (asset_id) group by a.asset_id"
        )
    )
    return {wire_id: frozenset(zip(sources, ids, strict=True)) for wire_id, sources, ids in rows}
