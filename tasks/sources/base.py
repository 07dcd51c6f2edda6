"""What a connector is: a frozen spec and three functions.

``fetch`` talks to the world and gives pages verbatim. ``parse`` and ``normalise`` are pure, so a
stored page can be replayed with today's rules and without the source.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from mmap import mmap
from typing import Any, Protocol

from tasks.core.clock import Clock
from tasks.core.errors import KasparroError
from tasks.core.settings import SourceSettings
from tasks.domain.pages import Page
from tasks.domain.records import Item, Record, Rejection

__all__ = [
    "Connector",
    "Cursor",
    "FetchContext",
    "Fetched",
    "HistoryConnector",
    "HttpClient",
    "Judge",
    "Page",
    "Response",
    "SourceSpec",
]

Cursor = Mapping[str, Any]
"""Where in a source a request begins; JSON, meaningful to its connector only."""


@dataclass(frozen=True, kw_only=True)
class SourceSpec:
    """The facts of a source.

    Attributes:
        name: Its name in settings, tables, URLs and metrics.
        kind: ``quotes``, ``news`` or ``history``: what its items become.
        title: For people.
        json_items: Whether a page's body is itself a JSON array of items (else transform stores the
            items beside it).
        crosses_network: False for files: such a run may honestly take no time.
        fresh_for_s: Seconds after its timestamp during which an observation counts as fresh.
        resume_within_s: A run that broke off is continued if it began no longer ago than this.
        precedence: When sources of equal standing must be ordered, lower goes first.
        schema_name: Names the shape that a page's items have; items of pages with the same name
            are compared with the same baseline. None for items without a shape worth watching.
        incremental: A run asks only for what is new since the last one, so the numbers of items
            of two runs say nothing about each other.
    """

    name: str
    kind: str
    title: str
    json_items: bool
    crosses_network: bool
    fresh_for_s: int
    resume_within_s: int
    precedence: int
    schema_name: Callable[[Page], str | None] | None = None
    incremental: bool = False


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The outcome of one request.

    Attributes:
        pages: At least one; may be lazy, so that a large answer is cut without being held twice.
        next_cursor: Where the next request begins; None when the source has been read to its end.
    """

    pages: Iterable[Page]
    next_cursor: Cursor | None


Content = bytes | mmap
"""What a body is in."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """An HTTP answer. :meth:`HttpClient.get` returns only those with status 200-299 or 304.

    Attributes:
        url: Where it came from after redirects, without query and credentials.
        headers: Lower-case names.
        content: The body; a large one is a file that is mapped, so that it takes no memory which
            the system could not have back.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    content: Content

    @property
    def body(self) -> bytes:
        """The whole body in memory."""
        return bytes(self.content)


Judge = Callable[[Response], KasparroError | None]
"""A source's own reading of an answer of *any* status: the error it really is, or None to leave it
to the general rule. It sees every answer before the budget and the circuit are told, so that a
``Throttled`` with status 200 freezes the source as a 429 would."""


class HttpClient(Protocol):
    """The one way to the network for connectors: time-outs, size limit, short retries, budget."""

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        judge: Judge | None = None,
    ) -> Response:
        """Ask for a page.

        Raises:
            RateLimitedError: 429, 503 with ``Retry-After``, or what ``judge`` calls so.
            CircuitOpenError: The source failed too often lately and is left alone.
            BudgetWaitError: This minute's calls are used up, or the source is frozen after a 429.
            BudgetSpentError: This month's calls are used up.
            UnavailableError: The budget cannot be asked.
            TransientError: Unreachable, timed out, broken off or 5xx after the short retries.
            PermanentError: Any other status, or a body beyond the size limit.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class FetchContext:
    """What ``fetch`` may use.

    Attributes:
        checkpoint: Where the last successful run ended; empty on the first run and on a full
            refresh.
        options: Of the run; a backfill's say what is wanted.
    """

    settings: SourceSettings
    http: HttpClient
    clock: Clock
    checkpoint: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)


class Connector(Protocol):
    """One source. Adding one is a class like this and a line in :mod:`tasks.sources.registry`."""

    spec: SourceSpec

    def fetch(self, context: FetchContext, cursor: Cursor | None) -> Fetched:
        """Make one request; ``cursor`` is None for the first of a run.

        Raises:
            TransientError: Or one of its kinds, when trying again may help.
            PermanentError: When it will not.
        """
        ...

    def parse(self, page: Page) -> Iterable[Item]:
        """Split a page into items, lazily. Pure.

        Raises:
            UnreadablePageError: If the page is not what the source promises.
        """
        ...

    def normalise(self, item: Item) -> Record | Rejection:
        """Turn an item into a record, or say why it cannot be one. Pure and total."""
        ...


class HistoryConnector(Connector, Protocol):
    """A source's past, for backfills; its ``spec.kind`` is ``history``.

    Its records are quotes of which only the id, the time and the figures count. The options of the
    run, and so of :class:`FetchContext`, say what is wanted: ``coins`` (the source's ids),
    ``since`` and ``until`` (ISO times).
    """

    def calls(self, options: Mapping[str, Any]) -> int:
        """Return how many calls these options take. Pure."""
        ...
