"""Running a connector's fetch as the engine does, without an engine."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tasks.core.clock import Clock
from tasks.core.schedules import parse_schedule
from tasks.core.settings import SourceSettings
from tasks.domain.records import Rejection
from tasks.sources.base import FetchContext, Page, Response


def settings_of(name: str, **values: Any) -> SourceSettings:
    return SourceSettings(name=name, schedule=parse_schedule("900"), **values)


def pages_of(connector, context: FetchContext, cursor=None) -> Iterator[Page]:
    """Yield the pages of a run; cursors and checkpoints pass through JSON as in the database."""
    while True:
        fetched = connector.fetch(context, cursor)
        for page in fetched.pages:
            msgspec.json.encode(page.checkpoint)
            yield page
        if fetched.next_cursor is None:
            return
        cursor = msgspec.json.decode(msgspec.json.encode(fetched.next_cursor))


def outcomes_of(connector, pages) -> list[Any]:
    return [connector.normalise(item) for page in pages for item in connector.parse(page)]


def records_of(connector, pages) -> list[Any]:
    return [found for found in outcomes_of(connector, pages) if not isinstance(found, Rejection)]


@dataclass
class ScriptedHttp:
    """Answers by address; an answer may be an error to raise, a list is answered in order."""

    answers: dict[str, Any]
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def get(self, url, *, params=None, headers=None, judge=None) -> Response:
        self.asked.append((url, headers or {}))
        answer = self.answers[url]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def context_of(settings: SourceSettings, clock: Clock, *, http=None, checkpoint=None):
    return FetchContext(settings=settings, http=http, clock=clock, checkpoint=checkpoint or {})
