"""Whether a program that ended is started again, and when."""

from dataclasses import dataclass

STEADY_S = 20.0
"""Who lived that long died of something new: the count begins again."""
LIMIT = 5
_FIRST_S = 0.5
_LONGEST_S = 10.0


@dataclass
class Restarts:
    """The quick deaths of one program in a row."""

    quick_deaths: int = 0

    def delay_after(self, uptime_s: float) -> float | None:
        """Count a death.

        Args:
            uptime_s: How long the program lived.

        Returns:
            Seconds to wait before the next start; None if another start is pointless.
        """
        self.quick_deaths = 1 if uptime_s >= STEADY_S else self.quick_deaths + 1
        if self.quick_deaths > LIMIT:
            return None
        return min(_FIRST_S * (1 << (self.quick_deaths - 1)), _LONGEST_S)
