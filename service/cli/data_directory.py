"""What one start keeps in its directory: a lock, its servers' data, logs, and who it started."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import ConfigurationError, ConflictError


@dataclass(frozen=True)
class DataDirectory:
    """The directory of ``--data-dir``; nothing is made before it is held."""

    root: Path

    @property
    def postgres(self) -> Path:
        """Where the embedded PostgreSQL keeps its data."""
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        """Where the embedded Valkey keeps its data."""
        return self.root / "valkey"

    @property
    def logs(self) -> Path:
        """Where each program's output goes."""
        return self.root / "logs"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other start out of the directory; the kernel ends the hold with the process.

        Raises:
            ConflictError: If another start holds it; its pid is named.
            ConfigurationError: If the directory cannot be written.
        """
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            lock = (self.root / "lock").open("a+")
        except OSError as error:
            raise ConfigurationError(
                f"{self.root} cannot be written ({error.strerror}); choose another --data-dir."
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConflictError(self._taken(lock.fileno())) from error
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            try:
                yield
            finally:
                lock.truncate(0)

    def _taken(self, descriptor: int) -> str:
        pid = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
        return (
            f"kasparro runs in {self.root} already, with pid {pid}. "
            f"Stop it with Ctrl-C or `kill {pid}`, or choose another --data-dir."
        )

    def environment(self) -> dict[str, str]:
        """Return the settings that the latest start gave its programs; empty after a stop."""
        return self._read("environment.json")

    def keep_environment(self, values: Mapping[str, str]) -> None:
        """Let other commands find what this start runs; empty for nothing."""
        self._write("environment.json", values)

    def children(self) -> dict[str, str]:
        """Return the recorded programs: name → process identity."""
        return self._read("children.json")

    def keep_children(self, identities: Mapping[str, str]) -> None:
        """Record who was started, for the start that follows a crash."""
        self._write("children.json", identities)

    def _read(self, name: str) -> dict[str, str]:
        try:
            found = json.loads((self.root / name).read_text())
        except (OSError, ValueError):
            return {}
        return dict(found)

    def _write(self, name: str, values: Mapping[str, str]) -> None:
        path = self.root / name
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(dict(values)))
        fresh.rename(path)
