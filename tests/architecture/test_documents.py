"""What is written beside the code agrees with it, a sentence each."""

import itertools
import re
import tomllib

import pytest

from service.cli import entry
from tasks.core.settings import BUILTIN_SOURCES
from tests.support.cli import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_SOURCE = re.compile(rf"^({'|'.join(BUILTIN_SOURCES).upper()})_")


def _rows(document: str) -> set[str]:
    """Return the names in the first column of a document's tables."""
    return set(re.findall(r"^\| `([^`]+)` \|", (ROOT / document).read_text(), re.MULTILINE))


def _either_form(name: str) -> set[str]:
    return {name, _SOURCE.sub("<SOURCE>_", name)}


def test_every_setting_has_a_row_in_the_operations_page(setting_names):
    rows = _rows("docs/operations.md") | {"CHAOS_MODE"}  # named in another setting's row
    assert [name for name in sorted(setting_names) if not _either_form(name) & rows] == []


def test_every_setting_that_a_source_uses_stands_in_the_example(setting_names):
    text = (ROOT / ".env.example").read_text()
    shown = set(re.findall(r"^# ([A-Z_]+)=", text, re.MULTILINE))
    own = {name for name in setting_names if not _SOURCE.match(name)}
    assert own - shown == set()
    assert shown - setting_names == set()


def test_no_row_speaks_of_a_setting_that_does_not_exist(setting_names):
    known = set().union(*map(_either_form, setting_names))
    rows = {row for row in _rows("docs/operations.md") if re.fullmatch(r"[A-Z_<>]+", row)}
    assert rows - known == set()


def test_the_example_gives_no_secret_a_value():
    text = (ROOT / ".env.example").read_text()
    assert re.findall(r"(?:KEY|SECRET|TOKEN|DSN)=(.+)", text) == []


def test_every_make_target_has_help():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE))
    helped = set(re.findall(r"^([a-z][a-z0-9-]*):.*## \S", text, re.MULTILINE))
    assert targets == helped


def test_what_ci_runs_is_what_the_readers_are_told_to_run():
    assert "make ci" in (ROOT / ".ci/run").read_text()
    assert re.search(r"^ci: lint test ##", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_dependency_says_what_it_is_for():
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"].values()
    declared = [*project["dependencies"], *itertools.chain.from_iterable(extras)]
    names = {re.split(r"[^\w.-]", requirement)[0] for requirement in declared}
    page = (ROOT / "docs/adr/dependencies.md").read_text()
    cells = re.findall(r"^\| (?:`\w+` \| )?([\w, -]+) \|", page, re.MULTILINE)
    explained = {name for cell in cells for name in cell.split(", ")}
    assert names - explained == set()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_dependency_is_locked_with_hashes_and_without_an_index(name):
    lock = (ROOT / name).read_text()
    assert "://" not in lock
    assert "--index" not in lock
    entries = re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)
    hashed = re.findall(r"^([\w.-]+)==[^\n]+\n    --hash=sha256:", lock, re.MULTILINE)
    assert entries == hashed
    declared = PYPROJECT["project"]["dependencies"]
    assert {re.split(r"[^\w.-]", requirement)[0] for requirement in declared} <= set(hashed)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_a_document_names_exists(document):
    text = document.read_text()
    shell = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    named = re.findall(r"^kasparro ([a-z]+)", shell, re.MULTILINE)
    named += re.findall(r"`kasparro ([a-z]+)", text)
    assert set(named) <= set(entry.COMMANDS)


def test_every_exit_code_is_explained():
    codes = {str(code) for _, code in entry.EXIT_CODES} | {"0", str(entry.NOT_ALL_WELL)}
    shown = re.findall(r"^\| (\d+) \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert codes == set(shown)
