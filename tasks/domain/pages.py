"""A page: one answer of a source, in the source's own bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Page:
    """One raw answer, or one piece of a large one.

    Attributes:
        request: What was asked, for people and for the log; never a secret.
        status: HTTP status; 200 for a file.
        media_type: As the source says it, or as the connector knows it.
        body: Verbatim bytes.
        headers: The few response headers worth keeping, lower-case names.
        item_count: Items in the body as far as ``fetch`` can tell cheaply; sizes batches only.
        fetched_at: When the answer came in, aware UTC; stored with the page and given back when it
            is replayed, so that "in the future" means the same then. None when nobody knows: then
            no date of the page is too new.
        unchanged_count: Items the source itself says have not changed and did not send again.
        checkpoint: Where the source goes on once this page and all before it are loaded; JSON.
        digest: The body's SHA-256, once it has been taken; a body that is known by it may be gone.
    """

    request: str
    body: bytes
    media_type: str
    checkpoint: Mapping[str, Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    item_count: int = 0
    unchanged_count: int = 0
    fetched_at: datetime | None = None
    digest: bytes | None = None
