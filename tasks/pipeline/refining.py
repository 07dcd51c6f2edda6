"""From items to records and rejections: the part that transforming and replaying share."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy.orm import Session

from tasks.core.rules import NO_RULES, RecordRules
from tasks.domain import quality
from tasks.domain.contracts import ContractMode
from tasks.domain.drift import Deviation
from tasks.domain.quality import Fault
from tasks.domain.records import Item, Quote, Record, Rejection
from tasks.pipeline.dependencies import Dependencies
from tasks.pipeline.watching import StoredPage, Watch
from tasks.sources.base import Connector
from tasks.store.rejections import Quarantined
from tasks.store.staging import Staged
from tasks.store.tables import Run


class Fresh(NamedTuple):
    """An item that is not known byte by byte.

    Attributes:
        number: Its place in the page.
        digest: Of the bytes the source sent.
        payload: These bytes.
        item: What is normalised; its fields may have been given their own names back.
        deviation: Why it is not to be normalised at all.
    """

    number: int
    digest: bytes
    payload: bytes
    item: Item
    deviation: Deviation | None = None


class Transformed(NamedTuple):
    """What items became."""

    staged: list[Staged]
    quarantined: list[Quarantined]


class Refinery(NamedTuple):
    """What a source's items go through.

    Attributes:
        rules: The source's own; None when it has none, which then cost nothing.
    """

    connector: Connector
    watch: Watch
    rules: RecordRules | None

    def contracted(
        self, session: Session, stored: StoredPage, fresh: Sequence[Fresh]
    ) -> Sequence[Fresh]:
        """Compare items with the accepted shape and do to them what the source's contract says.

        Returns:
            The very same items when nothing of them has to change.

        Raises:
            FrozenShapeError: If the contract does not let them pass.
        """
        payloads = [entry.payload for entry in fresh]
        judged = self.watch.judge(session, stored, payloads)
        if judged.payloads is payloads and not judged.deviants:
            return fresh
        if self.connector.spec.json_items:
            # Read anew: an id may be among the fields that got their names back.
            body = b"[%s]" % b",".join(judged.payloads)
            items = list(self.connector.parse(replace(stored.page, body=body)))
        else:
            pairs = zip(fresh, judged.payloads, strict=True)
            items = [entry.item._replace(payload=payload) for entry, payload in pairs]
        return [
            entry._replace(item=item, deviation=judged.deviants.get(place))
            for place, (entry, item) in enumerate(zip(fresh, items, strict=True))
        ]

    def normalised(self, fresh: Iterable[Fresh]) -> Transformed:
        """Sort items into records and rejections."""
        staged: list[Staged] = []
        quarantined: list[Quarantined] = []
        for number, digest, payload, item, deviation in fresh:
            if deviation is None:
                record = self.connector.normalise(item)
                if self.rules is not None:
                    record = _ruled(record, item, self.rules)
            else:
                record = _refused(item, deviation)
            if isinstance(record, Rejection):
                quarantined.append(Quarantined(number, digest, payload, record))
            else:
                staged.append(Staged(number, digest, record))
        return Transformed(staged, quarantined)


def of(dependencies: Dependencies, source: str, *, mode: ContractMode | None = None) -> Refinery:
    """Return what a source's items go through now.

    Args:
        dependencies: Of this process.
        source: Name of an enabled source.
        mode: Contract mode in place of the source's own.
    """
    connector, settings = dependencies.connector(source), dependencies.settings.sources[source]
    watch = Watch(connector.spec, mode or ContractMode(settings.contract_mode))
    return Refinery(connector, watch, None if settings.rules == NO_RULES else settings.rules)


def of_run(dependencies: Dependencies, run: Run) -> Refinery:
    """Return what the items of a run go through now."""
    return of(dependencies, run.source)._replace(connector=dependencies.connector_of(run))


def _ruled(record: Record | Rejection, item: Item, rules: RecordRules) -> Record | Rejection:
    if not isinstance(record, Quote):
        return record
    return quality.breach(record, rules, fetched_at=item.context.get("fetched_at")) or record


def _refused(item: Item, deviation: Deviation) -> Rejection:
    return quality.rejection(item.external_id, deviation.field, Fault("drift", deviation.reason))
