import gzip
import json

import pytest
from click.testing import CliRunner

from service.cli.evaluation import evaluation
from tasks.core.errors import InvalidInputError
from tasks.pipeline.evaluation import evaluate

_PAIRS = """\
coingecko_id,coinpaprika_id,label,evidence,notes
bitcoin,btc-bitcoin,same,both,
uniswap,uni-uniswap,same,second source,
ripple,xrp-else,same,contract,
batcat,btc-bitcoin,different,contract,same ticker
unicorn,uni-unicorn,different,contract,namesake
"""
_LEFT = """\
id,symbol,name,market_cap_rank,price_usd,price_date
bitcoin,btc,Bitcoin,1,,
batcat,btc,batcat,,,
uniswap,uni,Uniswap,20,7,2026-01-01
ripple,xrp,XRP,,,
unicorn,uni,Unicorn,,nonsense,never
"""
_RIGHT = """\
id,symbol,name,name_source,rank
btc-bitcoin,BTC,Bitcoin,capture,1
uni-uniswap,UNI,Uniswap,capture,2001
xrp-else,XRP,Something Else,id,
uni-unicorn,UNI,Unicorn,capture,
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "pairs.csv").write_text(_PAIRS)
    (tmp_path / "left.csv").write_text(_LEFT)
    (tmp_path / "right.csv.gz").write_bytes(gzip.compress(_RIGHT.encode()))
    return [tmp_path / name for name in ("pairs.csv", "left.csv", "right.csv.gz")]


def test_links_are_compared_with_labels_in_each_subset(files):
    report = evaluate(*files)
    every = report.scores["all"]
    assert (every.linked_same, every.same, every.linked_different, every.different) == (2, 3, 1, 2)
    assert (every.precision, every.recall) == (0.66667, 0.66667)
    assert (every.unresolved_share, every.another_share) == (0.33333, 0.0)
    assert report.scores["captured"].recall == 1
    assert report.scores["captured, not list only"].same == 1
    assert report.scores["captured, rank <= 2000"].precision == 1
    assert report.links == 3


def test_every_decision_against_a_label_is_listed(files):
    report = evaluate(*files)
    assert [error["left"] for error in report.wrong] == ["unicorn"]
    assert [error["right_name"] for error in report.missed] == ["Something Else (XRP)"]


def test_a_subset_without_pairs_has_no_shares(files):
    files[0].write_text(_PAIRS.split("uniswap", maxsplit=1)[0])
    score = evaluate(*files).scores["captured, not list only"]
    assert (score.precision, score.recall) == (1, 1)
    files[0].write_text(_PAIRS.splitlines()[0] + "\nbatcat,btc-bitcoin,different,contract,\n")
    assert evaluate(*files).scores["all"].precision is None


@pytest.mark.parametrize("text", ["a_id,label\n1,same\n", "coingecko_id,coinpaprika_id\na,b\n"])
def test_pairs_without_the_needed_columns_are_refused(files, text):
    files[0].write_text(text)
    with pytest.raises(InvalidInputError):
        evaluate(*files)


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_the_command_prints_scores_and_errors(files, flags):
    options = zip(("--pairs", "--left", "--right"), map(str, files), strict=True)
    arguments = ["identity", *(part for option in options for part in option), *flags]
    result = CliRunner().invoke(evaluation, arguments)
    assert result.exit_code == 0
    if flags:
        assert json.loads(result.stdout)["scores"]["all"]["same"] == 3
    else:
        assert "66.67 %" in result.stdout
        assert "Linked, but different: 1" in result.stderr
