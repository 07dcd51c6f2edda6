"""What the figures were measured on: no host names, no paths."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import peering
from tests.benchmarks.stand import Stand
from tests.support.processes import ROOT

_OURS = ("celery", "flask", "gunicorn", "marshmallow", "msgspec", "psycopg2-binary", "sqlalchemy")


def describe(stand: Stand) -> dict[str, object]:
    """Return processor, memory, versions, revision, and how busy the machine was at the start."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": stand.value("show server_version"),
        "fsync": stand.value("show fsync"),
        "versions": {name: version(name) for name in _OURS},
        "peers": peering.versions(),
        "revision": _git("rev-parse", "HEAD"),
        "has_local_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def load_average() -> float:
    """Return how many processes wanted a core in the last minute."""
    return round(os.getloadavg()[0], 2)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
