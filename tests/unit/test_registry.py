from importlib.metadata import EntryPoint

import pytest

from tasks.core.errors import ConfigurationError, NotFoundError
from tasks.sources import registry
from tasks.sources.coingecko import CoinGecko


class Elsewhere(CoinGecko):
    spec = CoinGecko.spec.__class__(
        name="elsewhere",
        kind="quotes",
        title="Elsewhere",
        json_items=True,
        crosses_network=True,
        fresh_for_s=1,
        resume_within_s=1,
        precedence=99,
    )


@pytest.fixture
def installed(monkeypatch):
    entries = []
    monkeypatch.setattr(registry, "entry_points", lambda *, group: entries)
    registry.get.cache_clear()

    def install(name, value):
        entries.append(EntryPoint(name, value, registry.ENTRY_POINT_GROUP))

    yield install
    registry.get.cache_clear()


def test_a_connector_is_one_object_for_good(installed):
    assert registry.get("coingecko") is registry.get("coingecko")


def test_another_package_can_bring_a_source(installed):
    installed("elsewhere", f"{__name__}:Elsewhere")
    assert registry.get("elsewhere").spec.title == "Elsewhere"
    assert registry.names()[-1] == "elsewhere"


def test_another_package_cannot_take_our_names(installed):
    installed("coingecko", f"{__name__}:Elsewhere")
    assert type(registry.get("coingecko")) is CoinGecko
    assert registry.names().count("coingecko") == 1


@pytest.mark.parametrize(
    "value", ["no_such_module:Thing", f"{__name__}:Missing", f"{__name__}:pytest"]
)
def test_a_connector_that_cannot_be_loaded_is_a_matter_of_configuration(installed, value):
    installed("broken", value)
    with pytest.raises(ConfigurationError, match="broken"):
        registry.get("broken")


def test_a_connector_must_carry_the_name_it_is_registered_under(installed):
    installed("alias", f"{__name__}:Elsewhere")
    with pytest.raises(ConfigurationError, match="calls itself 'elsewhere'"):
        registry.get("alias")


def test_an_unknown_source_is_answered_with_the_known_ones(installed):
    installed("elsewhere", f"{__name__}:Elsewhere")
    with pytest.raises(NotFoundError, match=r"no source 'nope'.*coingecko.*elsewhere"):
        registry.get("nope")
