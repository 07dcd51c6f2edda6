"""The watch over the shape of items while a batch is transformed."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core.errors import PermanentError
from tasks.core.logging import get_logger
from tasks.domain import contracts, drift, shapes
from tasks.domain.contracts import ContractMode, Judged
from tasks.domain.drift import Finding
from tasks.domain.shapes import Shape
from tasks.sources import declared
from tasks.sources.base import Page, SourceSpec
from tasks.store import drift as drift_log
from tasks.store import events, totals
from tasks.store.drift import Sighting
from tasks.store.events import Step

_log = get_logger(__name__)


class FrozenShapeError(PermanentError):
    """The items have another shape than the accepted one, and the source's contract is frozen."""


class StoredPage(NamedTuple):
    """A page and where it is kept."""

    raw_page_id: int | None
    page: Page


class Watch:
    """Compares the pages of one batch with the accepted shapes and keeps what it finds.

    What it finds is written by :meth:`report`, once at the end of the transaction, because other
    batches of the source wait for those rows.
    """

    def __init__(self, spec: SourceSpec, mode: ContractMode) -> None:
        self._spec = spec
        self._mode = mode
        self._accepted: dict[str, Shape | None] = {}
        self._found: dict[tuple[str, str], tuple[Finding, int | None]] = {}

    def judge(self, session: Session, stored: StoredPage, payloads: Sequence[bytes]) -> Judged:
        """Do to the items of a page what the source's contract says.

        Args:
            session: Of the transform's transaction.
            stored: The page.
            payloads: Its items that have to be looked at: those that are not known byte by byte.

        Raises:
            FrozenShapeError: If they have another structure and the contract is frozen.
        """
        as_they_are = Judged(payloads, {}, None)
        name = self._spec.schema_name and self._spec.schema_name(stored.page)
        if not name or not payloads:
            return as_they_are
        accepted = self._shape(session, name)
        if accepted is None:
            self._learn(session, name, payloads)
            return as_they_are
        judged = contracts.judge(payloads, accepted, self._mode)
        if judged.finding is not None:
            self._keep(name, judged.finding, stored.raw_page_id)
        return judged

    def _shape(self, session: Session, name: str) -> Shape | None:
        if name not in self._accepted:
            promised = declared.shape(self._spec.name, name)
            decided = drift_log.accepted(session, self._spec.name, name)
            self._accepted[name] = (
                shapes.merge(promised, decided) if promised and decided else promised or decided
            )
        return self._accepted[name]

    def _learn(self, session: Session, name: str, payloads: Sequence[bytes]) -> None:
        rows = shapes.decode(payloads)
        if rows:
            measured = shapes.measure(rows, frozenset())
            shape = shapes.learned(measured, is_table=not self._spec.json_items)
            drift_log.learn(session, self._spec.name, name, shape)
            self._accepted[name] = shape

    def _keep(self, name: str, finding: Finding, raw_page_id: int | None) -> None:
        self._found[name, finding.fingerprint] = (finding, raw_page_id)
        if self._mode is ContractMode.FREEZE and finding.is_structural:
            raise FrozenShapeError(
                f"The items of {name} have changed: {drift.summary(finding)}. Accept the drift, or "
                f"set {self._spec.name.upper()}_CONTRACT_MODE.",
                schema_name=name,
            )

    def report(self, session: Session, run_id: UUID, step: Step) -> None:
        """Write down what was found: the log, the run's events and the counter.

        A muted drift is counted on its row and nowhere else.
        """
        for (name, _), (finding, raw_page_id) in sorted(self._found.items()):
            if any(finding.elements < other.elements for other, _ in self._found.values()):
                continue
            seen = Sighting(self._spec.name, name, run_id, raw_page_id)
            logged = drift_log.log(session, seen, finding)
            if logged.status == "muted":
                continue
            detail = {
                "drift_id": logged.drift_id,
                "schema_name": name,
                "confidence_score": finding.confidence,
                "summary": drift.summary(finding),
            }
            events.add(session, run_id, "drift_detected", step=step, detail=detail)
            totals.add(session, "schema_drift_events_total", source=self._spec.name)
            _log.warning("drift_detected", source=self._spec.name, **detail)
