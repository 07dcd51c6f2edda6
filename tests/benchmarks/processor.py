"""Processor time and memory of processes and all they started, read from ``/proc``."""

import os
import threading
import time
from pathlib import Path
from typing import Self

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_S = 0.02


def family(pid: int) -> list[int]:
    """Return the process and its living descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            fields = _stat(int(entry.name))
            if fields:
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += parents.get(member, [])
    return found


def used_s(*roots: int) -> float:
    """Return the processor time of the families, of members that have ended too."""
    ticks = 0
    for root in roots:
        for pid in family(root):
            fields = _stat(pid)
            ticks += sum(map(int, fields[11:15])) if fields else 0
    return ticks * _TICK_S


def resident_bytes(root: int) -> int:
    """Return the memory of a family that is its own (shared pages counted once for each)."""
    return sum(_own_bytes(pid) for pid in family(root))


def _own_bytes(pid: int) -> int:
    try:
        size, shared = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
    except OSError:
        return 0
    return (size - shared) * _PAGE


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


class PeakMemory:
    """Watches a family's memory while the block runs; the highest sample is ``bytes``."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        members, at = family(self._root), time.monotonic()
        while not self._stop.wait(_SAMPLE_S):
            if time.monotonic() - at > 1:
                members, at = family(self._root), time.monotonic()
            self.bytes = max(self.bytes, sum(map(_own_bytes, members)))
