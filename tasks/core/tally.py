"""Counts made where no transaction is open; the next one that ends a stage writes them down."""

import threading
from collections import defaultdict
from typing import NamedTuple


class Counted(NamedTuple):
    """A counter of :mod:`tasks.store.totals` and its labels, sorted by name."""

    name: str
    labels: tuple[tuple[str, str], ...]


class Tally:
    """Adds up amounts in memory; what a process had not written when it died is lost."""

    def __init__(self) -> None:
        self._amounts: defaultdict[Counted, float] = defaultdict(float)
        self._lock = threading.Lock()

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to one counter."""
        with self._lock:
            self._amounts[Counted(name, tuple(sorted(labels.items())))] += amount

    def drain(self) -> list[tuple[Counted, float]]:
        """Return what was counted since the last time, and begin anew."""
        with self._lock:
            amounts, self._amounts = self._amounts, defaultdict(float)
        return list(amounts.items())
