"""A connector on one file: the pure half of the pipeline, without a database."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.core.clock import system_clock
from tasks.core.errors import UnreadablePageError
from tasks.domain.records import Item, Rejection
from tasks.sources import registry
from tasks.sources.base import Connector, Page

_MEDIA_TYPES = {".json": "application/json", ".csv": "text/csv", ".xml": "application/xml"}
_PAYLOAD_CHARS = 2_000


@dataclass
class Outcome:
    """What became of a file.

    Attributes:
        error: Why the file as a whole cannot be read; None if it can.
        rejections: Each with the number of its item, counted from 0, and the item itself.
    """

    source: str
    file: str
    error: str | None = None
    records: list[dict[str, Any]] = field(default_factory=list)
    rejections: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rejections_by_reason(self) -> dict[str, int]:
        """Count the rejections by field and rule, the most frequent first."""
        reasons = Counter(f"{row['field']}: {row['rule']}" for row in self.rejections)
        return dict(reasons.most_common())

    def members(self) -> dict[str, Any]:
        """Return the whole as JSON members, figures first."""
        return {
            "source": self.source,
            "file": self.file,
            "error": self.error,
            "record_count": len(self.records),
            "rejection_count": len(self.rejections),
            "rejections_by_reason": self.rejections_by_reason,
            "records": self.records,
            "rejections": self.rejections,
        }


def parse_file(source: str, file: Path) -> Outcome:
    """Parse and normalise a file as one page of a source.

    Raises:
        NotFoundError: If there is no such source.
    """
    connector = registry.get({"rss_feed": "rss"}.get(source, source))
    outcome = Outcome(connector.spec.name, str(file))
    try:
        for number, item in enumerate(connector.parse(_page(file))):
            _add(outcome, connector, number, item)
    except UnreadablePageError as error:
        outcome.error = str(error)
    return outcome


def _page(file: Path) -> Page:
    return Page(
        request=file.name,
        body=file.read_bytes(),
        media_type=_MEDIA_TYPES.get(file.suffix.lower(), "application/octet-stream"),
        checkpoint={},
        fetched_at=system_clock().now(),
    )


def _add(outcome: Outcome, connector: Connector, number: int, item: Item) -> None:
    record = connector.normalise(item)
    if not isinstance(record, Rejection):
        outcome.records.append(record._asdict())
        return
    payload = item.payload.decode(errors="replace")[:_PAYLOAD_CHARS]
    outcome.rejections.append({"item": number} | record._asdict() | {"payload": payload})
