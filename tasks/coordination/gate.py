"""Budget and circuit of a source as one thing to ask before, and to tell after, every call."""

from collections.abc import Callable

from tasks.coordination.budget import RedisBudget
from tasks.coordination.circuit import RedisCircuit
from tasks.core.errors import KasparroError, UnavailableError
from tasks.core.logging import get_logger

logger = get_logger(__name__)


class RedisGate:
    """What :class:`tasks.sources.http.Gate` asks for.

    It fails closed: without Redis no call is made. A report after a call that Redis cannot take is
    logged and dropped, because the answer is already here and must not be lost; the next call is
    refused anyway as long as Redis is away.
    """

    def __init__(self, source: str, budget: RedisBudget, circuit: RedisCircuit) -> None:
        self._source = source
        self._budget = budget
        self._circuit = circuit

    def enter(self) -> None:
        """Take one call.

        Raises:
            CircuitOpenError: The source is left alone.
            BudgetWaitError: The calls of this minute are used up, or the source is frozen.
            BudgetSpentError: The calls of this month are used up.
            UnavailableError: Redis does not answer.
        """
        # An open circuit must not cost a call, so it is asked first.
        self._circuit.enter()
        try:
            self._budget.acquire()
        except KasparroError:
            self._circuit.leave()
            raise

    def freeze(self, seconds: float) -> None:
        """Keep every worker from calling for so long, because the source asked for it."""
        self._report("freeze", lambda: self._budget.freeze(seconds))

    def succeeded(self) -> None:
        """Note that the source answered, even if it refused."""
        self._report("success", self._circuit.succeeded)

    def failed(self) -> None:
        """Note that the source could not be reached or was in trouble."""
        self._report("failure", self._circuit.failed)

    def _report(self, what: str, write: Callable[[], None]) -> None:
        try:
            write()
        except UnavailableError as exc:
            logger.warning("gate_report_lost", source=self._source, report=what, error=str(exc))
