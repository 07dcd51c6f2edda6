"""The command line as its caller sees it, in this process or in one of its own."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from service.cli.entry import main

ROOT = Path(__file__).parents[2]


class Result(NamedTuple):
    """What a command answered."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        return json.loads(self.stdout)


def kasparro(*arguments: object) -> Result:
    """Call a command in this process."""
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(stdout), redirect_stderr(stderr):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
    return Result(code, stdout.getvalue(), stderr.getvalue())


def start_kasparro(
    *arguments: object, environment: Mapping[str, str] | None = None, **options: Any
) -> "subprocess.Popen[str]":
    """Start a command as a process of its own; output goes where ``options`` say."""
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        text=True,
        **options,
    )


def kasparro_process(*arguments: object, environment: Mapping[str, str] | None = None) -> Result:
    """Call a command as a process of its own and wait for its end."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start_kasparro(*arguments, environment=environment, **pipes) as process:
        stdout, stderr = process.communicate()
    return Result(process.returncode, stdout, stderr)
