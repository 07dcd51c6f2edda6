"""Linking news to assets, measured on headlines written and labelled by hand."""

import csv
import time
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.core.clock import system_clock
from tasks.domain import names
from tasks.domain.mention_names import Subject
from tasks.domain.mentions import Index
from tasks.simulator import truth
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.market import Market

NEWS = Path(__file__).parents[1] / "fixtures" / "news"


def _assets():
    with (NEWS / "assets.csv").open(encoding="utf-8", newline="") as file:
        return [
            Subject(number, row["ticker"], row["name"], int(row["rank"]), row["owner"] == "y")
            for number, row in enumerate(csv.DictReader(file), 1)
        ]


def _headlines():
    with (NEWS / "headlines.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def index():
    return Index(_assets())


@pytest.fixture(scope="module")
def tickers():
    return {subject.asset_id: subject.ticker for subject in _assets()}


def _named(index, tickers, title, summary=None):
    return {tickers[mention.asset_id] for mention in index.mentions(title, summary)}


def test_links_are_right_on_headlines_full_of_ambiguous_words(index, tickers, capsys):
    right = wrong = missed = 0
    errors = []
    for row in _headlines():
        wanted = set(row["assets"].split())
        found = _named(index, tickers, row["title"], row["summary"])
        right += len(wanted & found)
        wrong += len(found - wanted)
        missed += len(wanted - found)
        if wanted != found:
            errors.append(f"{row['title']!r}: {sorted(found)} instead of {sorted(wanted)}")
    precision, recall = right / (right + wrong), right / (right + missed)
    with capsys.disabled():
        print(f"\nnews links: precision {precision:.3f}, recall {recall:.3f}; {errors}")  # noqa: T201
    assert len(_headlines()) >= 100
    assert precision >= 0.97
    assert recall >= 0.8


def test_a_name_with_its_ticker_is_surer_than_either(index):
    scores = {
        text: index.mentions(text)[0].score
        for text in ("Solana (SOL) halts", "$SOL halts", "Solana halts", "SOL halts")
    }
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert len(set(scores.values())) == 4


def test_what_a_summary_says_counts_less_and_bare_capitals_there_nothing(index):
    (in_summary,) = index.mentions("Markets today", "Solana rose")
    (in_title,) = index.mentions("Solana rose")
    assert in_summary.score < in_title.score
    assert index.mentions("Markets today", "SOL rose") == []


def test_the_longest_name_covers_the_shorter_one(index, tickers):
    assert _named(index, tickers, "Inside Bitcoin Cash and Wrapped Bitcoin") == {"BCH", "WBTC"}


def test_a_name_shared_by_two_assets_is_that_of_the_tickers_owner_or_of_none():
    def named(owners):
        rivals = [Subject(n, f"T{n}", "Zorbital", n, o == "y") for n, o in enumerate(owners, 1)]
        return [mention.asset_id for mention in Index(rivals).mentions("Why Zorbital matters")]

    assert named("ny") == [2]
    assert named("yy") == []
    assert named("nn") == []


def test_an_asset_nobody_ranks_links_by_its_ticker_alone():
    index = Index([Subject(1, "ZRB", "Zorbital", None, owns_ticker=True)])
    assert index.mentions("Zorbital lists today, ZRB holders wait") == []
    assert index.mentions("The sale (ZRB) ends") == []
    assert [m.text for m in index.mentions("$ZRB lists today")] == ["$ZRB"]
    assert [m.score for m in index.mentions("Zorbital (ZRB) lists today")] == [Decimal(1)]


def test_a_ticker_means_its_owner_only():
    index = Index([Subject(1, "ZRB", "Zorbital", 700, owns_ticker=False)])
    assert index.mentions("$ZRB and Zorbital (ZRB)") == []


def test_shouting_is_no_ticker(index, tickers):
    assert _named(index, tickers, "ALL ONE NEEDS IS SOL AND SUN") == set()


@pytest.mark.parametrize("text", ["", "$", "($)", "()", "$$$", "(((BTC", "龙 龙", "$BTC" * 5000])
def test_odd_texts_are_read_in_passing(index, text):
    assert isinstance(index.mentions(text, text), list)


def test_a_thousand_entries_over_twenty_thousand_assets_take_less_than_a_second():
    subjects = [
        Subject(n, f"T{n}", f"Name{n % 9000} Project", n, owns_ticker=True) for n in range(20_000)
    ]
    entries = [
        (f"Name{n} Project and $T{n} rise as desks wait", "Fees fell. " * 30) for n in range(1000)
    ]
    begun = time.process_time()
    index = Index(subjects)
    found = sum(bool(index.mentions(*entry)) for entry in entries)
    assert found == 1000
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("feed", ["wire", "ledger", "notes"])
def test_links_are_right_on_the_simulated_feeds(feed):
    market = Market(SimulatorConfig(coins=2000, feed_entries=200), system_clock())
    board = market.board("coingecko", 2000)
    seen: set[str] = set()
    subjects = []
    for rank, sight in enumerate(board.sights, 1):
        ticker, name = names.ticker(sight.label.symbol), sight.label.name
        subjects.append(Subject(rank, ticker, name, rank, ticker not in seen))
        seen.add(ticker)
    ids = {rank: sight.label.external_id for rank, sight in enumerate(board.sights, 1)}
    index, right, wrong, missed = Index(subjects), 0, 0, 0
    for title, mentions in truth.news_mentions(market, feed, 2000).items():
        found = {ids[mention.asset_id] for mention in index.mentions(title)}
        right += len(found & set(mentions))
        wrong += len(found - set(mentions))
        missed += len(set(mentions) - found)
    assert right / (right + wrong) >= 0.97
    assert right / (right + missed) >= 0.8
