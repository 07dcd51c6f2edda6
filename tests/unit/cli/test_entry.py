import subprocess
import sys
from pathlib import Path

import click
import pytest

from service.cli import entry
from tasks.core import errors
from tests.support.cli import ROOT, kasparro

HEAVY = ("sqlalchemy", "celery", "flask", "rich", "requests", "alembic", "redis", "msgspec")


def test_the_list_of_commands_says_what_each_command_says_of_itself():
    context = click.Context(entry.kasparro)
    own = {
        name: entry.kasparro.get_command(context, name).get_short_help_str(200)
        for name in entry.COMMANDS
    }
    assert own == {name: lazy.summary for name, lazy in entry.COMMANDS.items()}


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from service.cli.entry import main\n"
        "try: main(['--help'])\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
        cwd=Path("/"),
    )
    assert "doctor" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("name", list(entry.COMMANDS))
def test_every_command_explains_itself(name):
    answer = kasparro(name, "--help")
    assert answer.code == 0
    assert answer.stdout.startswith("Usage: ")


def test_an_unknown_command_is_a_wrong_call():
    assert kasparro("nonsense").code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigurationError(), 78),
        (errors.ConflictError(), 75),
        (errors.NotFoundError(), 2),
        (errors.RateLimitedError(retry_after_s=1), 69),
        (errors.UnreadablePageError(), 65),
        (errors.BudgetSpentError(), 70),
        (errors.LostClaimError(), 70),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error, code):
    assert entry.exit_code_of(error) == code


def test_without_servers_a_command_says_how_to_get_some(tmp_path):
    answer = kasparro("runs", "--data-dir", tmp_path)
    assert answer.code == 78
    assert "kasparro up" in answer.stderr
    assert answer.stdout == ""


def test_every_problem_of_the_settings_is_listed_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    monkeypatch.setenv("COINGECKO_PLAN", "golden")
    answer = kasparro("up", "--data-dir", tmp_path / "data", "--port", "65123")
    assert answer.code == 78
    assert "LOG_LEVEL" in answer.stderr
    assert "COINGECKO_PLAN" in answer.stderr
    assert not (tmp_path / "data/postgres").exists()
