"""Keeps programs up: starts them in order, starts again what dies, ends all in reverse order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.cli.data_directory import DataDirectory
from service.cli.embedded import servers
from service.cli.programs import Program, end_left_behind, interruptible
from service.cli.restarts import LIMIT, Restarts
from tasks.core.clock import Clock, system_clock
from tasks.core.errors import KasparroError, UnavailableError

_POLL_S = 0.1
_LEFT_BEHIND_S = 10.0


class InterruptedStartError(KasparroError):
    """The operator asked for an end."""


@dataclass
class _Watched:
    program: Program
    started_at: float
    restarts: Restarts = field(default_factory=Restarts)
    due_at: float | None = None


class Supervisor:
    """The programs of one start.

    It works in one thread: whoever waits for something calls :meth:`wait_until`, and the programs
    are looked after meanwhile.
    """

    def __init__(
        self,
        directory: DataDirectory,
        say: Callable[[str], None],
        *,
        clock: Clock | None = None,
    ) -> None:
        self._directory = directory
        self._say = say
        self._clock = clock or system_clock()
        self._watched: list[_Watched] = []
        self._asked_to_stop: Callable[[], bool] = lambda: False

    @contextmanager
    def running(self) -> Iterator[None]:
        """End what an earlier start left behind; on the way out end everything started here.

        Signals that ask for an end raise :class:`InterruptedStartError` in the next wait; they end
        the block quietly.
        """
        self._end_left_behind()
        with interruptible(on_second=self.kill) as asked:
            self._asked_to_stop = asked
            try:
                yield
            except InterruptedStartError:
                self._say("Stopping.")
            finally:
                self.stop()

    def start(self, program: Program) -> None:
        """Start a program and keep it up from now on.

        Raises:
            InterruptedStartError: If the operator asked for an end meanwhile.
        """
        self._check_asked()
        watched = _Watched(program, self._clock.monotonic())
        self._watched.append(watched)
        program.start()
        self._record()

    def wait_until(self, condition: Callable[[], bool], *, at_most_s: float | None = None) -> bool:
        """Look after the programs until ``condition`` holds.

        Returns:
            False if it did not within ``at_most_s`` seconds.

        Raises:
            InterruptedStartError: If the operator asked for an end.
            UnavailableError: If a program dies again and again.
        """
        deadline = None if at_most_s is None else self._clock.monotonic() + at_most_s
        while not condition():
            self._check_asked()
            for watched in self._watched:
                self._look_after(watched)
            if deadline is not None and self._clock.monotonic() > deadline:
                return False
            self._clock.sleep(_POLL_S)
        return True

    def stop(self) -> None:
        """End every program, the last one started first."""
        for watched in reversed(self._watched):
            watched.program.stop()
        self._watched.clear()
        self._record()

    def kill(self) -> None:
        """End every program that must not outlive us, now."""
        for watched in reversed(self._watched):
            watched.program.kill()

    def _check_asked(self) -> None:
        if self._asked_to_stop():
            raise InterruptedStartError

    def _look_after(self, watched: _Watched) -> None:
        now = self._clock.monotonic()
        if watched.due_at is None:
            how = watched.program.ended()
            if how is not None:
                self._note_death(watched, how, now)
        elif now >= watched.due_at:
            watched.due_at, watched.started_at = None, now
            watched.program.start()
            self._record()

    def _note_death(self, watched: _Watched, how: str, now: float) -> None:
        program, uptime_s = watched.program, now - watched.started_at
        delay_s = watched.restarts.delay_after(uptime_s)
        if delay_s is None or watched.restarts.quick_deaths == 1:
            self._show_end(program)
        if delay_s is None:
            raise UnavailableError(
                f"{program.name} {how}, {LIMIT + 1} times in a row; giving up. "
                f"Its output is in {program.log}."
            )
        self._say(
            f"{program.name} {how} after {uptime_s:.0f} s; starting it again in {delay_s:g} s."
        )
        watched.due_at = now + delay_s

    def _show_end(self, program: Program) -> None:
        for line in servers.last_lines(program.log):
            self._say(f"{program.name} | {line}")

    def _record(self) -> None:
        identities = {
            watched.program.name: identity
            for watched in self._watched
            if (identity := watched.program.identity) is not None
        }
        self._directory.keep_children(identities)

    def _end_left_behind(self) -> None:
        for name, identity in reversed(self._directory.children().items()):
            if end_left_behind(identity, patience_s=_LEFT_BEHIND_S):
                self._say(f"Ended {name}, which an earlier start had left behind.")
        self._directory.keep_children({})
