"""One tree of errors, classed by what the one who catches it does next.

The three tables that map it: ``service.errors`` (HTTP status), ``tasks.celery_app`` (retry or give
up), ``service.cli`` (exit code).
"""

from typing import Any


class KasparroError(Exception):
    """Something went wrong that kasparro understands."""

    def __init__(self, message: str = "", **context: Any) -> None:
        """Take the sentence for a person and the facts for the log.

        Args:
            message: What was wrong and what to do; the first line of the class docstring if empty.
            context: Facts by name; JSON-serialisable, and never a secret.
        """
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])
        self.context = context

    def __reduce__(self) -> tuple[Any, ...]:
        # Celery pickles exceptions between the pool's processes; keyword facts would be lost.
        return (_rebuild, (type(self), str(self), self.context))


def _rebuild(cls: type[KasparroError], message: str, context: dict[str, Any]) -> KasparroError:
    return cls(message, **context)


class CallerError(KasparroError):
    """The caller asked for something impossible; asking again will not help."""


class NotFoundError(CallerError):
    """There is no such thing."""


class ConflictError(CallerError):
    """The state of the thing does not allow this now."""


class InvalidInputError(CallerError):
    """A value given by the caller is not valid."""


class TransientError(KasparroError):
    """It may work a little later; try again."""


class UnavailableError(TransientError):
    """A server kasparro depends on did not answer."""


class RateLimitedError(TransientError):
    """The source asks for fewer calls; ``retry_after_s`` seconds of silence are due."""

    def __init__(self, message: str = "", *, retry_after_s: float, **context: Any) -> None:
        """Take the wait as a fact.

        Args:
            message: As in :class:`KasparroError`.
            retry_after_s: Seconds before the next call to this source may be made.
            context: As in :class:`KasparroError`.
        """
        super().__init__(message, retry_after_s=retry_after_s, **context)
        self.retry_after_s = retry_after_s


class BudgetWaitError(RateLimitedError):
    """The source's call budget is used up for the moment. Waiting is not a failed attempt."""


class CircuitOpenError(RateLimitedError):
    """The source failed too often lately and is left alone for a while. Waiting is an attempt."""


class PermanentError(KasparroError):
    """Trying again would fail in the same way; the run fails."""


class UnreadablePageError(PermanentError):
    """A source's answer cannot be read as what its documentation promises."""


class BudgetSpentError(PermanentError):
    """The source's monthly budget is spent; the run is skipped."""


class LostClaimError(KasparroError):
    """Another process holds or finished this piece of work; drop what you did."""


class ConfigurationError(KasparroError):
    """The settings do not make sense; nothing was started."""

    def __init__(self, message: str = "", *, problems: tuple[str, ...] = ()) -> None:
        """Collect every problem, so that one look mends them all.

        Args:
            message: As in :class:`KasparroError`.
            problems: One sentence for each setting, naming it.
        """
        super().__init__(message, problems=problems)
        self.problems = problems
