"""The life of a run and of its pages, as two tables of allowed transitions."""

from enum import StrEnum

from tasks.core.errors import ConflictError


class RunStatus(StrEnum):
    """Where a run stands; the last six are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    PARTIAL = "partial"
    FAILED = "failed"
    SKIPPED = "skipped"
    CRASHED = "crashed"
    CANCELLED = "cancelled"


class PageState(StrEnum):
    """Where a page stands; ``pending`` has a cursor but no answer yet."""

    PENDING = "pending"
    FETCHED = "fetched"
    TRANSFORMED = "transformed"
    LOADED = "loaded"
    FAILED = "failed"


class Stage(StrEnum):
    """A step of the pipeline: what it takes a page from, and to."""

    FETCH = "fetch"
    TRANSFORM = "transform"
    LOAD = "load"

    @property
    def takes(self) -> PageState:
        """Return the state of a page that waits for this stage."""
        return _STAGES[self]


_STAGES = {
    Stage.FETCH: PageState.PENDING,
    Stage.TRANSFORM: PageState.FETCHED,
    Stage.LOAD: PageState.TRANSFORMED,
}

ACTIVE = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})
FINAL = frozenset(RunStatus) - ACTIVE
UNFINISHED = frozenset({RunStatus.FAILED, RunStatus.CRASHED, RunStatus.CANCELLED})
"""Final, but with work that the next run takes up."""

BACKFILL = "backfill"
"""The trigger of a run over a source's past; it goes on beside the source's live run."""
ASIDE = frozenset({"replay", BACKFILL})
"""Triggers of runs that are not on the way of the checkpoint and no measure of others."""

COMPLETED = frozenset({RunStatus.SUCCESS, RunStatus.PARTIAL})
"""Final, with the last page loaded."""

_ENDINGS = frozenset({RunStatus.FAILED, RunStatus.SKIPPED, RunStatus.CRASHED, RunStatus.CANCELLED})
TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.QUEUED: _ENDINGS | {RunStatus.RUNNING},
    RunStatus.RUNNING: _ENDINGS | COMPLETED,
}


def check_transition(before: RunStatus, after: RunStatus) -> None:
    """Refuse a step that the life of a run does not have; a finished run stays finished.

    Raises:
        ConflictError: Naming both states.
    """
    if after not in TRANSITIONS.get(before, frozenset()):
        raise ConflictError(f"A run that is {before} cannot become {after}.")


def sources_of(after: RunStatus) -> tuple[RunStatus, ...]:
    """Return the states from which ``after`` can be reached."""
    return tuple(before for before, allowed in TRANSITIONS.items() if after in allowed)


def completed_status(*, rejected: int) -> RunStatus:
    """Return how a run ends whose last page is loaded."""
    return RunStatus.PARTIAL if rejected else RunStatus.SUCCESS
