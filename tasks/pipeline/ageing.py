"""Prices grow old without anybody touching them: their consensus is decided anew when they do."""

from tasks.pipeline import trust
from tasks.pipeline.dependencies import Dependencies
from tasks.store import ageing, consensus, links, publication, versions

_AT_ONCE = 2_000


def age(dependencies: Dependencies) -> int:
    """Publish anew the assets of which an observation went stale since the last time.

    Returns:
        How many assets were decided anew.
    """
    trusted = trust.policies(dependencies)
    with dependencies.transaction() as session:
        links.lock(session)
        aged = ageing.take_expired(
            session, {source: policy.fresh_for_s for source, policy in trusted.items()}
        )
        decided: set[int] = set()
        for start in range(0, len(aged), _AT_ONCE):
            part = aged[start : start + _AT_ONCE]
            decided |= consensus.refresh(session, asset_ids=part, policies=trusted)
        publication.append(session, decided)
        if aged:
            versions.bump(session, "data")
    return len(aged)
