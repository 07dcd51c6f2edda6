"""The peers' own environment, and their measured runs."""

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

from tests.benchmarks.stand import HOME, say

PROGRAMS = Path(__file__).parent / "peers"
_VENV = HOME / "peers"


def program(name: str) -> str:
    """Return a program of the peers' environment."""
    return str(_VENV / "bin" / name)


def install() -> None:
    """Make the environment from the package index, unless it is what is asked for already."""
    wanted = PROGRAMS / "requirements.txt"
    digest = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()
    stamp = _VENV / "installed"
    if stamp.exists() and stamp.read_text() == digest:
        return
    say("installing the peers; the first time takes a minute or two")
    venv.create(_VENV, with_pip=True, clear=True)
    command = [program("python"), "-m", "pip", "install", "-qqq", "--disable-pip-version-check"]
    subprocess.run([*command, "--requirement", str(wanted)], check=True)
    stamp.write_text(digest)


def versions() -> dict[str, str]:
    """Return what was compared with."""
    listed = subprocess.run(
        [program("python"), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        check=True,
        capture_output=True,
    ).stdout
    named = ("dlt", "fastapi", "sqlalchemy", "asyncpg", "pydantic", "uvicorn", "datasette")
    found = {entry["name"].lower(): entry["version"] for entry in json.loads(listed)}
    return {name: found[name] for name in named}


def run(script: str, *arguments: str, cwd: Path) -> dict[str, float]:
    """Run a peer's program once and return what it says of itself."""
    clean = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    home = {"HOME": str(cwd), "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [program("python"), str(PROGRAMS / script), *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=clean | quiet | home,
    )
    if done.returncode:
        raise RuntimeError(f"{script} {arguments[0]} failed:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])
