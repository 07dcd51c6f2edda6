"""Counters that never go down: they live in the database, in the transaction that earns them."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from tasks.core.tally import Counted

# Upper bounds in seconds: from a stage of milliseconds to a run of an hour.
BUCKETS = (
    "0.01",
    "0.05",
    "0.1",
    "0.25",
    "0.5",
    "1",
    "2.5",
    "5",
    "10",
    "30",
    "60",
    "300",
    "1800",
    "3600",
)


# Always in the same order, so that two transactions never wait for each other.
_ADD = text(
    """
    insert into metric_totals as t (name, labels, value)
    select name, cast(labels as jsonb), value
    from unnest(cast(:names as text[]), cast(:labels as text[]), cast(:amounts as numeric[]))
      as n (name, labels, value)
    order by 1, 2
    on conflict (name, labels) do update set value = t.value + excluded.value
    """
)


def add(session: Session, name: str, amount: Decimal | float = 1, **labels: str) -> None:
    """Raise one counter.

    Args:
        session: Of the transaction that earns the amount.
        name: Metric name, as in docs/operations.md.
        amount: Not negative.
        labels: Label values by name.
    """
    add_all(session, [(_counted(name, labels), amount)])


def add_each(
    session: Session, name: str, label: str, amounts: Mapping[str, int], **labels: str
) -> None:
    """Raise the counters of one name that differ in one label.

    Args:
        session: As :func:`add`.
        name: As :func:`add`.
        label: Name of that label.
        amounts: By its value.
        labels: The other labels' values by name.
    """
    add_all(
        session,
        [(_counted(name, labels | {label: value}), count) for value, count in amounts.items()],
    )


def add_all(session: Session, amounts: Iterable[tuple[Counted, Decimal | float]]) -> None:
    """Raise several counters, each named once, in one statement."""
    rows = list(amounts)
    session.execute(
        _ADD,
        {
            "names": [counted.name for counted, _ in rows],
            "labels": [msgspec.json.encode(dict(counted.labels)).decode() for counted, _ in rows],
            "amounts": [Decimal(str(amount)) for _, amount in rows],
        },
    )


def observe(session: Session, name: str, seconds: float, **labels: str) -> None:
    """Add one observation to a histogram: its bucket (not cumulative), its sum and its count."""
    position = bisect_left([float(bound) for bound in BUCKETS], seconds)
    bound = BUCKETS[position] if position < len(BUCKETS) else "+Inf"
    counts = (
        (_counted(f"{name}_bucket", labels | {"le": bound}), 1),
        (_counted(f"{name}_sum", labels), max(seconds, 0.0)),
        (_counted(f"{name}_count", labels), 1),
    )
    add_all(session, counts)


def _counted(name: str, labels: dict[str, str]) -> Counted:
    return Counted(name, tuple(sorted(labels.items())))
