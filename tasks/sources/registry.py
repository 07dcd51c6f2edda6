"""Which connectors there are: ours, and those that other packages bring along.

A package adds a source through the entry-point group ``kasparro.sources``: the entry's name is the
source's name, its object a class with the shape of :class:`tasks.sources.base.Connector`.
"""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from tasks.core.errors import ConfigurationError, NotFoundError
from tasks.sources.base import Connector, HistoryConnector
from tasks.sources.coingecko import CoinGecko
from tasks.sources.coingecko_history import CoinGeckoHistory
from tasks.sources.coinpaprika import CoinPaprika
from tasks.sources.csv_file import CsvFiles
from tasks.sources.rss import Rss

ENTRY_POINT_GROUP = "kasparro.sources"

_BUILT_IN: Mapping[str, Callable[[], Connector]] = {
    "coingecko": CoinGecko,
    "coinpaprika": CoinPaprika,
    "csv": CsvFiles,
    "rss": Rss,
}
_HISTORIES: Mapping[str, Callable[[], HistoryConnector]] = {"coingecko": CoinGeckoHistory}


def names() -> tuple[str, ...]:
    """Return the names of all sources: ours first, then third parties' in alphabetical order."""
    return (*_BUILT_IN, *sorted(_brought_along()))


@cache
def get(name: str) -> Connector:
    """Return the connector of a source; the same one each time, for it has no state.

    Raises:
        NotFoundError: Naming the sources there are.
        ConfigurationError: If another package's connector cannot be used.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]()
    entry = _brought_along().get(name)
    if entry is None:
        raise NotFoundError(f"There is no source {name!r}; there are {', '.join(names())}")
    return _loaded(entry)


def history(name: str) -> HistoryConnector | None:
    """Return the connector of a source's past: ours, or a package's as ``history``; None if none.

    Raises:
        NotFoundError: As :func:`get`.
        ConfigurationError: As :func:`get`.
    """
    if name in _BUILT_IN:
        return _HISTORIES[name]() if name in _HISTORIES else None
    found: HistoryConnector | None = getattr(get(name), "history", None)
    return found


def _brought_along() -> dict[str, EntryPoint]:
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    # Our names cannot be taken over by installing a package.
    return {name: entry for name, entry in found.items() if name not in _BUILT_IN}


def _loaded(entry: EntryPoint) -> Connector:
    try:
        connector: Connector = entry.load()()
        declared = connector.spec.name
    except Exception as exc:
        # Foreign code runs here for the first time, and may fail in any way.
        raise ConfigurationError(
            f"The connector {entry.value} of source {entry.name!r} cannot be loaded: {exc!r}"
        ) from exc
    if declared != entry.name:
        raise ConfigurationError(
            f"The connector {entry.value} of source {entry.name!r} calls itself {declared!r}"
        )
    return connector
