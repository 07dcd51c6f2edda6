"""One market for all tests of the API as it is served."""

import pytest

from tests.support import live


@pytest.fixture(scope="session")
def loaded(databases, servers, tmp_path_factory):
    """The environment of a system whose sources have all been run; its vendors go on answering."""
    # Of the server's databases one that no other test uses: messages are for our workers only.
    broker = f"{servers['REDIS_URL'].rpartition('/')[0]}/7"
    with databases.cloned() as url:
        addresses = {"DATABASE_URL": url, "REDIS_URL": broker}
        with live.filled(addresses, tmp_path_factory.mktemp("market")) as environment:
            yield environment


@pytest.fixture(scope="module")
def market(databases, loaded):
    """That system over a copy of its database: no module sees what another one did."""
    with databases.copied(loaded["DATABASE_URL"]) as url:
        yield {**loaded, "DATABASE_URL": url}


@pytest.fixture(scope="module")
def api(market, tmp_path_factory):
    """The API over that market, with the settings of a local start."""
    with live.served(market, tmp_path_factory.mktemp("api")) as served:
        yield served
