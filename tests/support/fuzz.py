"""Schemathesis against the API as it is served: ``python -m tests.support.fuzz``."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support import live, processes
from tests.support.databases import Databases
from tests.support.servers import running_servers

# All checks, over every operation; the settings beside them are in schemathesis.toml.
LONG = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "60")
SHORT = ("--phases", "examples,fuzzing,stateful", "--max-examples", "2", "--seed", "1")


@contextmanager
def system(market: Mapping[str, str], directory: Path) -> Iterator[live.Live]:
    """Serve the API to callers with a key only, with a worker behind it, so that runs end."""
    worker = processes.worker(market, directory / "worker.log", concurrency=1, name="fuzz")
    generous = {"API_AUTH": "required", "API_RATE_PER_MINUTE": "1000000"}
    with worker, live.served(market, directory, **generous) as api:
        yield api


def run(api: live.Live, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run schemathesis with a key of every scope; its exit code is 0 if nothing was found."""
    program = Path(sys.executable).with_name("schemathesis")
    line = [program, "--no-color", "run", f"{api.url}/openapi.json", "--checks", "all", *arguments]
    key = api.key("read", "run", "admin")
    return subprocess.run(
        line,
        env={**os.environ, "SCHEMATHESIS_KEY": key},
        cwd=processes.ROOT,
        text=True,
        check=False,
        **options,
    )


def main(arguments: list[str]) -> int:
    """Run the long form; return its exit code, or 1 if the log tells of a defect."""
    with tempfile.TemporaryDirectory(prefix="kf-") as short:
        directory = Path(short)
        with (
            running_servers(directory / "servers") as servers,
            Databases(servers["DATABASE_URL"]).cloned() as url,
            live.filled({**servers, "DATABASE_URL": url}, directory) as market,
            system(market, directory) as api,
        ):
            code = run(api, *LONG, *arguments).returncode
            found = live.problems_in(api.log)
    sys.stderr.write("".join(f"{line}\n" for line in found))
    return code or bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
