"""How many rows a list has, counted once while the data is the same."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

_MAX_KEPT = 1000


class Totals:
    """The newest totals of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[str, int | None] = OrderedDict()

    def of(self, seed: str, count: Callable[[], int | None]) -> int | None:
        """Return a total.

        Args:
            seed: What it follows from: the list, the version of the data, the way to count.
            count: Counts; only called if the total is not known already.
        """
        with self._lock:
            if seed in self._kept:
                self._kept.move_to_end(seed)
                return self._kept[seed]
        total = count()
        with self._lock:
            self._kept[seed] = total
            if len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        return total
