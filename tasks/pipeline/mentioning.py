"""Link news to the assets they speak of: when an entry comes, and again when assets do."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from tasks.core.logging import get_logger
from tasks.domain.mentions import Index
from tasks.pipeline.dependencies import Dependencies
from tasks.store import links, mentions, versions

RECENT_DAYS = 7
MOST_ENTRIES = 2000
"""What one refresh reads again: some 0.2 s of work. Older news keep the links they were given."""

_log = get_logger(__name__)


def link(session: Session, news_ids: Sequence[int]) -> int:
    """Find anew which assets these entries speak of; see :mod:`tasks.domain.mentions`.

    Returns:
        How many links changed.
    """
    if not news_ids:
        return 0
    links.lock_shared(session)  # so that no asset is closed under our hands
    index = Index(mentions.subjects(session))
    found = {
        entry.news_id: index.mentions(entry.title, entry.summary)
        for entry in mentions.entries(session, news_ids)
    }
    return mentions.replace(session, news_ids, found)


def refresh(dependencies: Dependencies) -> int:
    """Link recent news again if assets have come since the last time.

    On a new installation the feeds may well be read before the first coins are.

    Returns:
        How many links changed.
    """
    with dependencies.transaction() as session:
        if not mentions.take_turn(session):
            return 0
        recent = mentions.recent(session, days=RECENT_DAYS, limit=MOST_ENTRIES)
        changed = link(session, recent)
        if changed:
            versions.bump(session, "news")
    _log.info("news_linked_again", entries=len(recent), links_changed=changed)
    return changed
