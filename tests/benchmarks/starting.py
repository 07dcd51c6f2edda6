"""What it costs to begin: imports, the command line, an API worker."""

import os
import resource
import subprocess
import sys
from collections.abc import Mapping

from tests.benchmarks.figures import Figure, Goal
from tests.benchmarks.stand import Stand, say
from tests.support.processes import ROOT

_PROGRAMS = {
    "import tasks.celery_app": ["-c", "import tasks.celery_app"],
    "kasparro --help": ["-m", "service.cli", "--help"],
    "API worker (import service.wsgi)": ["-c", "import service.wsgi"],
}


def measure(stand: Stand, *, repetitions: int) -> list[Goal]:
    """Measure S1."""
    settings = stand.settings(None)
    found = []
    for work, arguments in _PROGRAMS.items():
        _processor_s(arguments, settings)
        figure = Figure.of([_processor_s(arguments, settings) for _ in range(repetitions)])
        say(f"  S1 {work}: {figure.median:.2f} s")
        found.append(Goal(number="S1", work=work, ratio=figure, at_most=1.0, unit="s"))
    return found


def _processor_s(arguments: list[str], settings: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        capture_output=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
