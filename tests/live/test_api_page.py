"""Each command of docs/api.md, as a reader would run it, with what the page says of the answer."""

import json
import os
import re
import subprocess
from dataclasses import dataclass, field

import pytest

from tests.support.processes import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
PAGE = (ROOT / "docs/api.md").read_text(encoding="utf-8")
# Each curl of a block also says its status, and keeps its answer where the test looks for it.
SHELL = """
curl() {
  command curl --max-time 20 --write-out '%{stderr}STATUS %{http_code}\\n' "$@" | tee answer
}
"""


@dataclass
class Block:
    """A fenced block of commands, and what the page shows of the last answer."""

    commands: str
    shown: list[tuple[str, str]] = field(default_factory=list)

    @property
    def statuses(self) -> list[str]:
        """The status each command must have: what the comment before it says, or before that."""
        found, status = [], "200"
        for line in self.commands.splitlines():
            if line.startswith("#"):
                said = re.match(r"# (\d{3})\b", line)
                status = said[1] if said else "200"
            found += [status] * len(re.findall(r"(?:^|\$\()curl ", line))
        return found


def blocks():
    found = []
    for kind, body in re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        if kind == "sh" and "curl" in body:
            found.append(Block(body))
        elif kind != "sh":
            found[-1].shown.append((kind, body))
    return found


def has(answer, shown, where="the answer"):
    """Check that an answer has every member that the page shows; values may differ."""
    if isinstance(shown, dict):
        assert set(shown) <= set(answer), f"{where} lacks {set(shown) - set(answer)}"
        for name, value in shown.items():
            has(answer[name], value, f"{where}.{name}")
    elif isinstance(shown, list) and shown:
        assert answer, f"{where} is empty"
        has(answer[0], shown[0], f"{where}[0]")


@pytest.fixture
def shell(api, tmp_path):
    """Runs commands in one directory; the variables are those that the page explains."""
    runs = api.ask("/runs?source=coinpaprika&status=success").json()["runs"]
    variables = {"RUN1": runs[-1]["run_id"], "RUN2": runs[0]["run_id"]}
    variables |= {
        "ADMIN": api.key("admin"),
        "API": api.url,
        "KEY": api.key("run"),
        "PATH": os.environ["PATH"],
    }

    def run(commands):
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", SHELL + commands],
            env=variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stderr}"
        answer = (tmp_path / "answer").read_text(encoding="utf-8", errors="replace")
        if '"status":"triggered"' in answer and "STARTED" not in variables:
            variables["STARTED"] = json.loads(answer)["runs"][0]["run_id"]
        return answer, re.findall(r"^STATUS (\d+)$", done.stderr, re.MULTILINE)

    return run


def test_every_command_gets_the_answer_that_the_page_shows(shell):
    for block in blocks():
        answer, statuses = shell(block.commands)
        assert statuses == block.statuses, f"{block.commands}\n{answer}"
        for kind, shown in block.shown:
            if kind == "json":
                has(json.loads(answer), json.loads(shown))
            else:
                names = [line.split(":")[0] for line in shown.splitlines()]
                assert [n for n in names if f"\n{n.lower()}: " not in answer.lower()] == []


def test_every_endpoint_has_its_command():
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    commands = "".join(block.commands for block in blocks())
    for path, item in document["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", r"[^/\\s\"?]+", re.escape(path)) + r'["?]'
        for method in item.keys() - {"parameters"}:
            verb = "" if method == "get" else f"-X {method.upper()} "
            assert re.search(rf'curl -\w+ .*?{verb}.*?"\$API{pattern}', commands), (method, path)
