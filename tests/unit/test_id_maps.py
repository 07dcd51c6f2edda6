import pytest

from tasks.core.errors import InvalidInputError
from tasks.domain import id_maps
from tasks.domain.id_maps import KnownId

SOURCES = ("coingecko", "coinpaprika", "csv")


def _parse(text):
    return id_maps.parse(text.encode() if isinstance(text, str) else text, SOURCES)


def _problems(text):
    with pytest.raises(InvalidInputError) as refused:
        _parse(text)
    return str(refused.value).splitlines()


def test_a_row_is_an_asset_and_its_ids_share_a_key():
    assert _parse("coingecko,coinpaprika\nbitcoin,btc-bitcoin\nether,eth-ether\n") == [
        KnownId("coingecko", "bitcoin", "coingecko/bitcoin"),
        KnownId("coinpaprika", "btc-bitcoin", "coingecko/bitcoin"),
        KnownId("coingecko", "ether", "coingecko/ether"),
        KnownId("coinpaprika", "eth-ether", "coingecko/ether"),
    ]


def test_the_order_of_columns_and_rows_says_nothing():
    one = _parse("coingecko,coinpaprika,csv\na,b,c\nd,,e\n")
    other = _parse("\ufeffCSV, coinpaprika ,coingecko\r\ne,,d\r\n\r\n,,\r\n c ,b,a\r\n")
    assert sorted(one) == sorted(other)


def test_ids_may_hold_commas_and_line_ends_in_quotes():
    (first, _) = _parse('csv,coingecko\n"a, ""b""\nc",x\n')
    assert first.external_id == 'a, "b"\nc'


def test_a_map_without_rows_knows_nothing():
    assert _parse("coingecko,csv\n") == []


@pytest.mark.parametrize("header", ["", "coingecko", "coingecko,kraken", "csv,csv", "a;b"])
def test_a_header_names_two_or_more_sources_once(header):
    (problem,) = _problems(f"{header}\nbitcoin,btc\n")
    assert problem.startswith("line 1: the header must name two or more of the sources coingecko,")


def test_every_line_that_is_wrong_is_named():
    text = "coingecko,csv\na,A\nb\na,B\nc,C,D\nd,A\n"
    assert _problems(text) == [
        "line 3: one id alone says nothing",
        "line 4: coingecko 'a' is in line 2, too",
        "line 5: 3 cells under 2 columns",
        "line 6: csv 'A' is in line 2, too",
    ]


def test_not_more_problems_are_shown_than_one_reads():
    problems = _problems("coingecko,csv\n" + "a,\n" * 30)
    assert (len(problems), problems[-1]) == (21, "and 39 more")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"coingecko,csv\n\xff,a\n", "not UTF-8"),
        (b"coingecko,csv\na,\x00\n", "NUL"),
        (b'coingecko,csv\n"a,b\n', "line 2: unexpected end of data"),
    ],
)
def test_what_is_no_text_is_refused(body, words):
    assert words in _problems(body)[0]
