"""What the API's tests share."""

import pytest

from tasks.core.settings import load_settings
from tasks.store import migrate
from tests.support.api import running


@pytest.fixture
def api(settings):
    """The API on a database of its own."""
    with running(settings) as whole:
        yield whole


@pytest.fixture(scope="module")
def still_api(databases, servers):
    """An API for tests that write nothing: one for a whole module, over an empty database."""
    with databases.cloned() as url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", url)
        environment.setenv("REDIS_URL", servers["REDIS_URL"])
        environment.setenv("API_RATE_PER_MINUTE", "100000")
        with running(load_settings()) as whole:
            yield whole


@pytest.fixture(scope="module")
def api_apart(databases, servers):
    """An API for a whole module on a database that is thrown away: its statistics would mislead."""
    with databases.empty() as url, pytest.MonkeyPatch.context() as environment:
        migrate.upgrade(url)
        environment.setenv("DATABASE_URL", url)
        environment.setenv("REDIS_URL", servers["REDIS_URL"])
        with running(load_settings()) as whole:
            yield whole


@pytest.fixture
def settings_with(monkeypatch, request):
    """Settings with some of the environment changed."""

    def make(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return request.getfixturevalue("settings")

    return make
