"""Fetch: what a source answers, stored verbatim."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core import failpoints
from tasks.core.errors import KasparroError
from tasks.core.logging import get_logger
from tasks.domain import batches
from tasks.domain.retries import Again
from tasks.domain.runs import Stage
from tasks.pipeline.attempts import Message, attempt, note_finished
from tasks.pipeline.dependencies import Dependencies
from tasks.sources.base import Connector, Cursor, FetchContext, Fetched, Page
from tasks.store import batching, pages, raw_pages, runs
from tasks.store.pages import Claim
from tasks.store.tables import Run

READ_ON_S = 2.0
"""How long a fetch goes on asking before it stores what it has."""
READ_ON_PER_MINUTE = 600
"""From so many calls a minute on, a message and a transaction for each page would cost more than
the page. Slower sources keep to one call a message: there a call is dear, so its answer is stored
before the next one is made, and Celery's ``rate_limit`` remains a fence."""

_log = get_logger(__name__)


def fetch(dependencies: Dependencies, run_id: UUID, page: int) -> Again | None:
    """Make the request that begins at ``page``, and those that may follow, and store the answers.

    Returns:
        When to try again, as :func:`tasks.pipeline.attempts.attempt`.
    """
    return attempt(dependencies, Stage.FETCH, run_id, page, _work)


def _work(dependencies: Dependencies, run: Run, claim: Claim) -> Sequence[Message]:
    answers = _read(dependencies, run, claim)
    with dependencies.transaction() as session:
        ready = _store(session, run, claim, answers)
        failpoints.reach(failpoints.BEFORE_RAW_COMMIT)
    failpoints.reach(failpoints.AFTER_RAW_COMMIT)
    return ready


class _Answer(NamedTuple):
    """What one request brought, and where it began."""

    cursor: Cursor | None
    fetched: Fetched

    def digested(self, known: raw_pages.Known) -> "_Answer":
        """Return the answer without the bodies that are known; one that is cut later as it is."""
        if not isinstance(self.fetched.pages, Sequence):
            return self
        pages = tuple(raw_pages.digested(page, known) for page in self.fetched.pages)
        return self._replace(fetched=replace(self.fetched, pages=pages))


def _read(dependencies: Dependencies, run: Run, claim: Claim) -> list[_Answer]:
    """Make one request of a slow source; of a fast one, those that time and a batch allow."""
    context = FetchContext(
        settings=dependencies.settings.sources[run.source],
        http=dependencies.http_client(run.source),
        clock=dependencies.clock,
        checkpoint={} if run.options.get("full_refresh") else run.checkpoint_before or {},
        options=run.options,
    )
    connector = dependencies.connector_of(run)
    until_s = dependencies.clock.monotonic() + READ_ON_S
    answers = [_Answer(claim.cursor, _ask(connector, context, claim.cursor))]
    if not _is_fast(context) or answers[0].fetched.next_cursor is None:
        return answers
    with dependencies.transaction() as session:
        batch = batches.target(runs.items_before(session, run.run_id, claim.first))
        known = _known(session, run)
    answers = [answer.digested(known) for answer in answers]
    while _may_read_on(answers, batch) and dependencies.clock.monotonic() < until_s:
        following = answers[-1].fetched.next_cursor
        try:
            answer = _Answer(following, _ask(connector, context, following))
        except KasparroError as error:
            # What came so far is stored first; this request is made again by its own message.
            _log.info("reading_on_stopped", source=run.source, reason=str(error))
            break
        answers.append(answer.digested(known))
    return answers


def _ask(connector: Connector, context: FetchContext, cursor: Cursor | None) -> Fetched:
    failpoints.reach(failpoints.BEFORE_FETCH)
    fetched = connector.fetch(context, cursor)
    failpoints.reach(failpoints.AFTER_FETCH)
    return fetched


def _is_fast(context: FetchContext) -> bool:
    rate = context.settings.rate_per_minute
    return rate is None or rate >= READ_ON_PER_MINUTE


def _may_read_on(answers: Sequence[_Answer], batch: int) -> bool:
    if answers[-1].fetched.next_cursor is None:
        return False
    held = 0
    for answer in answers:
        if not isinstance(answer.fetched.pages, Sequence):
            return False  # cut as it is stored, because it is large
        held += sum(page.item_count for page in answer.fetched.pages if page.body)
    return held < batch


def _known(session: Session, run: Run) -> raw_pages.Known:
    if not runs.leaves_out_what_is_known(run):
        return {}
    return raw_pages.known(session, run.source, run.run_id)


def _store(
    session: Session, run: Run, claim: Claim, answers: Sequence[_Answer]
) -> Sequence[Message]:
    """Store the pages of all answers and note where the next request begins, all or nothing."""
    pages.hold(session, claim)
    known = _known(session, run)
    noted: list[pages.Fetched] = []
    numbered = _numbered(claim.first, answers, noted)
    repeated = raw_pages.add(session, run.run_id, run.source, numbered, known)
    for place, page in enumerate(noted):
        if page.page in repeated:
            noted[place] = page._replace(items=repeated[page.page].items)
    pages.add_fetched(session, run.run_id, noted)
    last, following = noted[-1].is_last, noted[-1].page + 1
    if not last:
        pages.add_pending(session, run.run_id, following, answers[-1].fetched.next_cursor)
    ready = batching.close(session, run.run_id, last=last)
    note_finished(session, run, claim, {"pages": len(noted)})
    runs.hold_active(session, run)
    more = [] if last else [Message(Stage.FETCH, following)]
    return [*(Message(Stage.TRANSFORM, batch) for batch in ready), *more]


def _numbered(
    first: int, answers: Sequence[_Answer], noted: list[pages.Fetched]
) -> Iterator[tuple[int, Page]]:
    """Yield the pages of answers with their numbers; all but their bodies is left in ``noted``."""
    number = first
    for cursor, fetched in answers:
        request_page = number
        for page in fetched.pages:
            yield number, page
            noted.append(
                pages.Fetched(
                    page=number,
                    request_page=request_page,
                    cursor=cursor if number == request_page else None,
                    items=page.item_count,
                    checkpoint=page.checkpoint,
                    is_last=False,
                )
            )
            number += 1
        noted[-1] = noted[-1]._replace(is_last=fetched.next_cursor is None)
