"""What the feeds write about: invented entries that mention coins, plainly or ambiguously."""

from typing import NamedTuple

from tasks.simulator.chance import Chance
from tasks.simulator.coins import Label
from tasks.simulator.market import Market

_EVERY = 2  # ticks between two entries of a feed
_EDITED_AFTER = 4  # ticks until an entry that is edited at all is edited
_FIRST = 100_000  # entry numbers begin before tick 0, and look better above 0
_EDITED, _ROUND_UP = 3, 5  # of every 7 and of every 11 entries
_SUBJECTS = 60  # the largest coins, about which the feeds write
_SALTS = {"wire": 1, "ledger": 2, "notes": 3}

# ``{name}`` and ``{ticker}`` are a coin's; a template without them is about none at all.
_HEADLINES = (
    "${ticker} climbs as miners hold on to their coins",
    "{name} ({ticker}) upgrade reaches its test network",
    "Traders weigh {name} after a quiet week",
    "Why {name} validators are asking for lower fees",
    "${ticker} and stocks part ways, say two desks",
    "Exchange lists {name} ({ticker}) <b>today</b> & tomorrow",
    "Opinion: custody of {name} is a solved problem, isn't it?",
    "One missing link between near-term rates and digital money",
    "Regulators in no hurry to rule on staking, says a person close to them",
    "Banks see a flow of orders on the near side of the curve",
)
_BODIES = (
    "Volumes rose by a third on the day. “Nothing is broken,” one desk wrote to its clients.",
    "The change touches fees only, its authors said; wallets need not be updated before spring.",
    "Three of five market makers polled expect narrower spreads. More follows &amp; so on.",
)
_AUTHORS = ("Ada Moss", "Jun Okafor", "Łucja Brandt", "M. de la Cruz", "Newsdesk")


class Entry(NamedTuple):
    """An entry as it stands at a tick.

    Attributes:
        guid: Not unique in ``wire``: its daily round-up keeps one guid and url for every edition.
        mentions: CoinGecko ids of the coins the headline is about.
    """

    number: int
    guid: str
    url: str
    title: str
    summary: str
    author: str
    published_ms: int
    updated_ms: int
    mentions: tuple[str, ...]


def entries(market: Market, feed: str, tick: int) -> list[Entry]:
    """Return what a feed shows at a tick, newest first."""
    newest = tick // _EVERY
    shown = market.config.feed_entries
    return [_entry(market, feed, newest - age, tick) for age in range(shown)]


def _entry(market: Market, feed: str, number: int, tick: int) -> Entry:
    chance = Chance(market.config.seed, _SALTS[feed], number)
    born = number * _EVERY
    published_ms = market.timeline.started_ms(born) - chance.below(50) * 1000
    subject = _subject(market, chance)
    headline, body, author = chance.pick(_HEADLINES), chance.pick(_BODIES), chance.pick(_AUTHORS)
    about = "{" in headline
    words = {"name": subject.name.strip(), "ticker": subject.symbol.upper()}
    title, updated_ms = headline.format(**words), published_ms
    guid = f"tag:{feed}.example,2026:{number + _FIRST}"
    url = f"https://{feed}.example/{number + _FIRST}?utm_source=rss&utm_medium=feed"
    if number % 7 == _EDITED and tick >= born + _EDITED_AFTER:
        title = f"{title} (updated)"
        updated_ms = market.timeline.started_ms(born + _EDITED_AFTER)
    if feed == "wire" and number % 11 == _ROUND_UP:
        guid, url = "tag:wire.example,2026:daily", "https://wire.example/daily"
        title, about = f"What happened in crypto, edition {number + _FIRST}", False
    mentions = (subject.external_id,) if about else ()
    return Entry(number, guid, url, title, body, author, published_ms, updated_ms, mentions)


def _subject(market: Market, chance: Chance) -> Label:
    """Pick a coin to write about, Bitcoin more often than others."""
    known = [c.coingecko for c in market.listed["coingecko"][:_SUBJECTS] if c.kind == "known"]
    labels = [label for label in known if label]
    return labels[int(chance.unit() * chance.unit() * len(labels))]
