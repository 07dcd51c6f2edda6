"""Counters that never go down: they live in the database, in the transaction that earns them."""

from bisect import bisect_left
from decimal import Decimal

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tasks.store.tables import MetricTotal

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


def add(session: Session, name: str, amount: Decimal | float = 1, **labels: str) -> None:
    """Raise one counter.

    Args:
        session: Of the transaction that earns the amount.
        name: Metric name, as in docs/operations.md.
        amount: Not negative.
        labels: Label values by name.
    """
    statement = insert(MetricTotal).values(name=name, labels=labels, value=Decimal(str(amount)))
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["name", "labels"],
            set_={"value": MetricTotal.value + statement.excluded.value},
        )
    )


def observe(session: Session, name: str, seconds: float, **labels: str) -> None:
    """Add one observation to a histogram: its bucket (not cumulative), its sum and its count."""
    position = bisect_left([float(bound) for bound in BUCKETS], seconds)
    bound = BUCKETS[position] if position < len(BUCKETS) else "+Inf"
    add(session, f"{name}_bucket", 1, **labels, le=bound)
    add(session, f"{name}_sum", max(seconds, 0.0), **labels)
    add(session, f"{name}_count", 1, **labels)
