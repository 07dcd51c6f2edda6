"""What stands between a connector and the network: asked before every call, told of its outcome.

Defined here and not where it is implemented, because sources and coordination do not know each
other; ``bootstrap`` brings them together.
"""

from typing import Protocol


class Gate(Protocol):
    """The budget and the circuit of one source, shared by all workers."""

    def enter(self) -> None:
        """Take one call.

        Raises:
            BudgetWaitError: Not now, but after ``retry_after_s``.
            BudgetSpentError: Not this month.
            CircuitOpenError: The source is left alone for ``retry_after_s``.
            UnavailableError: It cannot be known whether a call may be made.
        """
        ...

    def freeze(self, seconds: float) -> None:
        """Keep every worker from calling for so long; the source asked for it. Never raises."""
        ...

    def succeeded(self) -> None:
        """Note that the source answered, be it with a refusal. Never raises."""
        ...

    def failed(self) -> None:
        """Note that the source was out of reach or in trouble of its own. Never raises."""
        ...


class OpenGate:
    """Lets every call through and remembers nothing; for tools that ask a source once."""

    def enter(self) -> None:
        """Do nothing."""

    def freeze(self, seconds: float) -> None:
        """Do nothing."""

    def succeeded(self) -> None:
        """Do nothing."""

    def failed(self) -> None:
        """Do nothing."""
