"""What the supervisor runs: child processes, and the embedded servers, under one shape."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from service.cli.embedded import servers
from tasks.core import processes

_LOG_BYTES = 10_000_000
_GROUP_S = 2.0


class Program(Protocol):
    """Something that is to be up for as long as the supervisor is.

    Attributes:
        name: For people, logs and records.
        log: Where its output goes.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the class
    @property
    def log(self) -> Path: ...  # noqa: D102 - see the class

    def start(self) -> None:
        """Start it; its ``identity`` tells it from a later process with the same pid."""
        ...

    @property
    def identity(self) -> str | None:
        """The process that must not outlive us; None if it may."""
        ...

    def ended(self) -> str | None:
        """Say how it ended, in words that follow its name; None while it lives."""
        ...

    def stop(self) -> None:
        """End it in order, and by force if that takes too long."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...


@dataclass
class Child:
    """A process of ours, the leader of its own group, so that its own children end with it.

    Attributes:
        command: Program and arguments.
        patience_s: How long an orderly end may take.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    patience_s: float = 10.0
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def start(self) -> None:
        """Start the process; its output is appended to the log."""
        _turn_over(self.log)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def identity(self) -> str | None:
        """The running process."""
        return processes.identity(self._process.pid) if self._process else None

    def ended(self) -> str | None:
        """Say how the process ended, and end what it left behind."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        end_group(self._process.pid)
        return _how(code)

    def stop(self) -> None:
        """Ask the process alone, for it knows how to end its own children; then force all."""
        if self._process is None:
            return
        self._process.terminate()
        servers.wait_while(lambda: self.ended() is None, at_most_s=self.patience_s)
        self.kill()

    def kill(self) -> None:
        """End the whole group."""
        if self._process is not None:
            end_group(self._process.pid)
            self._process.wait()
            self._process = None


@dataclass(frozen=True)
class Server:
    """An embedded server, which may outlive us and is then used again."""

    name: str
    log: Path
    start_up: Callable[[], object]
    lives: Callable[[], bool]
    shut_down: Callable[[], None]

    def start(self) -> None:
        """Start the server, or find it running."""
        self.start_up()

    @property
    def identity(self) -> str | None:
        """None: a server that outlives us does no harm."""
        return None

    def ended(self) -> str | None:
        """Say that it is gone."""
        return None if self.lives() else "ended"

    def stop(self) -> None:
        """Stop the server; data is kept."""
        self.shut_down()

    def kill(self) -> None:
        """Leave the server to the next start: killed, it would have to recover."""


def end_left_behind(identity: str, *, patience_s: float) -> bool:
    """End a process of an earlier start, and its group; False if nothing was left of it.

    A group whose leader is gone still keeps the leader's pid from being given to another process.
    """
    pid = int(identity.rsplit(":", 2)[1])
    if processes.identity(pid).rsplit(":", 2)[0] != identity.rsplit(":", 2)[0]:
        return False  # of another machine or container
    if processes.is_gone(identity):
        return not _exists(pid) and end_group(pid)
    os.kill(pid, signal.SIGTERM)
    servers.wait_while(lambda: not processes.is_gone(identity), at_most_s=patience_s)
    end_group(pid)
    return True


def end_group(pid: int) -> bool:
    """Kill the process group of a leader and wait until it is gone; False if there is none."""
    if not _group_lives(pid):
        return False
    with suppress(ProcessLookupError, PermissionError):  # it ended by itself meanwhile
        os.killpg(pid, signal.SIGKILL)
    servers.wait_while(lambda: _group_lives(pid), at_most_s=_GROUP_S)
    return True


def _group_lives(pid: int) -> bool:
    """Tell whether a group has members; dead ones that nobody has reaped do not count."""
    servers.reap(pid)
    if Path("/proc/self/stat").exists():
        return any(_is_member(stat, pid) for stat in Path("/proc").glob("[0-9]*/stat"))
    try:
        os.killpg(pid, 0)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a dead group
        return False
    return True


def _is_member(stat: Path, group: int) -> bool:
    try:
        state, _parent, its_group = stat.read_text().rpartition(")")[2].split()[:3]
    except OSError:
        return False
    return its_group == str(group) and state != "Z"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name}"


def _turn_over(log: Path) -> None:
    """Begin a log anew, keeping one older, when it has grown large."""
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))


@contextmanager
def interruptible(on_second: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Turn the signals that ask for an end into an answer to "were we asked?".

    The first of them is only noted, so that nothing is left half started; the second calls
    ``on_second`` and ends this process at once.
    """
    asked: list[int] = []

    def note(number: int, _frame: object) -> None:
        asked.append(number)
        if len(asked) > 1:
            on_second()
            os._exit(128 + number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
