"""Rules of the code that no linter knows, a sentence each."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli import command_lines
from tasks import messages
from tests.support.cli import ROOT

CODE = sorted(path for room in ("service", "tasks") for path in (ROOT / room).rglob("*.py"))
VAGUE = {"utils", "helpers", "common", "misc", "manager", "base_utils"}
MODULE_LINES, FUNCTION_LINES = 300, 40


@pytest.fixture
def celery_app(settings):
    from tasks.celery_app import app  # noqa: PLC0415 - it reads the settings

    return app


def _functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _length(function: ast.FunctionDef) -> int:
    """Count a function's lines without its docstring."""
    first = function.body[0]
    explained = ast.get_docstring(function) is not None
    docstring = first.end_lineno - first.lineno + 1 if explained else 0
    return function.end_lineno - function.lineno + 1 - docstring


def test_nobody_commits_by_hand():
    found = [path for path in CODE if ".commit()" in path.read_text()]
    assert found == []


def test_no_module_is_long():
    lines = {path: [line for line in path.read_text().splitlines() if line] for path in CODE}
    long = {str(path) for path in CODE if len(lines[path]) > MODULE_LINES}
    settings = str(ROOT / "tasks/core/settings.py")  # one setting after the other
    assert long <= {settings}


def test_no_function_is_long():
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in CODE
        for node in _functions(path)
        if _length(node) > FUNCTION_LINES
    ]
    assert long == []


def test_no_module_is_called_by_a_vague_name():
    assert [path for path in CODE if path.stem in VAGUE] == []


def test_every_task_has_a_name_of_ours_and_limits(celery_app):
    own = [task for name, task in celery_app.tasks.items() if not name.startswith("celery.")]
    assert own
    assert all(task.name.startswith("kasparro.") for task in own)
    assert all(task.acks_late and task.ignore_result for task in own)
    assert celery_app.conf.task_soft_time_limit < celery_app.conf.task_time_limit


def test_every_queue_has_a_consumer_in_the_supervisor(celery_app):
    queues = {queue.name for queue in celery_app.conf.task_queues}
    assert set(command_lines.QUEUES) == set(messages.QUEUES) == queues


def test_every_task_goes_to_a_queue_that_is_consumed(celery_app):
    routes = celery_app.conf.task_routes
    sent = {routes.get(name, celery_app.conf.task_default_queue) for name in celery_app.tasks}
    beat = {entry["options"]["queue"] for entry in celery_app.conf.beat_schedule.values()}
    assert sent | beat <= set(command_lines.QUEUES)


def test_a_worker_never_loads_flask(settings):
    code = "import sys, tasks.celery_app; sys.exit('flask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
