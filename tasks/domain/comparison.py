"""How one run differs from another, and whether that is remarkable."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from tasks.core.errors import CallerError
from tasks.domain.contents import Contents, Shape
from tasks.domain.runs import COMPLETED, RunStatus

MOST_MOVERS = 10


class IncomparableRunsError(CallerError):
    """Only runs of the same source can be compared."""


@dataclass(frozen=True, kw_only=True)
class RunStats:
    """The figures of a finished run; None is a figure that it does not report.

    Attributes:
        records: Good items of its answers, whether new or known already.
        duration_s: From start to end; None for a run that never started.
    """

    run_id: UUID
    source: str
    status: RunStatus
    records: int | None
    duration_s: float | None


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """Beyond what a difference is remarkable; the figures are those of the wire contract.

    Attributes:
        records_percent: Change of the number of records, up or down.
        duration_percent: Growth of the duration; 100 is twice as long.
        fastest_s: A run of a source that crosses the network takes at least so long.
    """

    records_percent: float = 50.0
    duration_percent: float = 100.0
    fastest_s: float = 0.1


class RowChanges(NamedTuple):
    """Items by their source's own id and their bytes."""

    added: int
    removed: int
    changed: int
    unchanged: int


class Priced(NamedTuple):
    """An item's symbol and price."""

    symbol: str
    price_usd: Decimal


class Mover(NamedTuple):
    """An item whose price differs; percent of the price before."""

    external_id: str
    symbol: str
    price_before: Decimal
    price_after: Decimal
    change_percent: Decimal


class SchemaChange(NamedTuple):
    """A field that came, went, or has other JSON types: ``added``, ``removed``, ``retyped``."""

    field: str
    change: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How the run ``after`` differs from ``before``, its baseline.

    Attributes:
        records_diff: Records of ``after`` less those of ``before``.
        duration_change_percent: Of the duration before.
        anomalies: A sentence for each rule that the difference breaks.
        changes: None when the answers of one of the runs are not stored any more, or are too many.
        not_compared: Names of the figures that only one run reports, or none.
    """

    source: str
    records_diff: int | None
    duration_diff_seconds: float | None
    duration_change_percent: float | None
    status_changed: bool
    anomalies: tuple[str, ...]
    changes: RowChanges | None = None
    top_movers: tuple[Mover, ...] = ()
    schema_changes: tuple[SchemaChange, ...] = ()
    not_compared: tuple[str, ...] = ()


def compare_runs(
    before: RunStats,
    after: RunStats,
    *,
    crosses_network: bool,
    tolerance: Tolerance | None = None,
) -> Comparison:
    """Tell how the figures of ``after`` differ from those of ``before``.

    Only figures that both runs report are compared: one that only one of them has is named in
    ``not_compared`` and breaks no rule.

    Args:
        before: The baseline.
        after: The run that is judged.
        crosses_network: Whether the source is beyond the network, so that no run can take no time.
        tolerance: Beyond what a difference is remarkable.

    Raises:
        IncomparableRunsError: If the runs are of different sources.
    """
    if before.source != after.source:
        raise IncomparableRunsError(
            f"Run {before.run_id} is of {before.source!r}, run {after.run_id} of {after.source!r}.",
            sources=[before.source, after.source],
        )
    records = _difference(before.records, after.records)
    duration = _difference(before.duration_s, after.duration_s)
    texts = _Rules(before, after, tolerance or Tolerance(), crosses_network)
    return Comparison(
        source=after.source,
        records_diff=None if records is None else int(records),
        duration_diff_seconds=None if duration is None else round(duration, 6),
        duration_change_percent=_percent(before.duration_s, duration),
        status_changed=before.status != after.status,
        anomalies=tuple(texts.broken()),
        not_compared=tuple(
            name for name, value in (("records", records), ("duration", duration)) if value is None
        ),
    )


class _Rules(NamedTuple):
    before: RunStats
    after: RunStats
    tolerance: Tolerance
    crosses_network: bool

    def broken(self) -> Iterable[str]:
        if self.before.run_id != self.after.run_id:
            yield from self._of_the_difference()
        yield from self._of_the_run()

    def _of_the_difference(self) -> Iterable[str]:
        if text := self._records():
            yield text
        if text := self._duration():
            yield text
        if self.before.status in COMPLETED and self.after.status in _BROKEN:
            yield f"Status degradation: {self.before.status} → {self.after.status}."

    def _records(self) -> str | None:
        before, after = self.before.records, self.after.records
        if before is None or after is None or before == after:
            return None
        percent = _percent(before, after - before)
        if percent is not None and abs(percent) <= self.tolerance.records_percent:
            return None
        by = "" if percent is None else f" ({percent:+.1f} %)"
        return f"Large record count change: {before} → {after}{by}."

    def _duration(self) -> str | None:
        before, after = self.before.duration_s, self.after.duration_s
        percent = _percent(before, _difference(before, after))
        if percent is None or percent <= self.tolerance.duration_percent:
            return None
        return f"Duration doubled: {before:.3f} s → {after:.3f} s ({percent:+.1f} %)."

    def _of_the_run(self) -> Iterable[str]:
        if self.after.status not in COMPLETED:
            return
        took = self.after.duration_s
        if self.crosses_network and took is not None and took < self.tolerance.fastest_s:
            yield f"Suspiciously fast: {took:.3f} s for a source that crosses the network."
        if self.after.records == 0:
            yield f"Zero records: the run ended {self.after.status} and brought nothing."


_BROKEN = frozenset({RunStatus.FAILED, RunStatus.CRASHED})


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _percent(before: float | None, difference: float | None) -> float | None:
    if before is None or difference is None:
        return None
    if difference == 0:
        return 0.0
    return round(difference / before * 100, 3) if before else None


def row_changes(before: Contents, after: Contents) -> RowChanges:
    """Count the items that only one of two runs brought, and those that both did."""
    common = before.digests.keys() & after.digests.keys()
    changed = sum(before.digests[item] != after.digests[item] for item in common)
    return RowChanges(
        added=len(after.digests) - len(common),
        removed=len(before.digests) - len(common),
        changed=changed,
        unchanged=len(common) - changed,
    )


def changed_items(before: Contents, after: Contents) -> frozenset[str]:
    """Return the ids of items that both runs brought, with different bytes."""
    common = before.digests.keys() & after.digests.keys()
    return frozenset(item for item in common if before.digests[item] != after.digests[item])


def top_movers(before: Mapping[str, Priced], after: Mapping[str, Priced]) -> tuple[Mover, ...]:
    """Return the items whose price moved most, in percent either way; a price of 0 has none."""
    movers = [
        Mover(
            item,
            now.symbol,
            before[item].price_usd,
            now.price_usd,
            (now.price_usd / before[item].price_usd - 1) * 100,
        )
        for item, now in after.items()
        if item in before and before[item].price_usd and before[item].price_usd != now.price_usd
    ]
    movers.sort(key=lambda mover: (-abs(mover.change_percent), mover.external_id))
    return tuple(movers[:MOST_MOVERS])


def schema_changes(before: Shape, after: Shape) -> tuple[SchemaChange, ...]:
    """Compare the fields of two runs' items; null says nothing about a field's type."""
    if not before or not after:
        return ()
    return tuple(
        SchemaChange(field, change, tuple(sorted(before.get(field, ()))), tuple(sorted(types)))
        for field in sorted(before.keys() | after.keys())
        for types in (after.get(field, frozenset[str]()),)
        if (change := _change(before.get(field), after.get(field)))
    )


def _change(before: frozenset[str] | None, after: frozenset[str] | None) -> str | None:
    if before is None or after is None:
        return "added" if before is None else "removed"
    was, now = before - {"null"}, after - {"null"}
    return "retyped" if was and now and was != now else None
