from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.schedules import parse_schedule
from tasks.domain import anomalies
from tasks.domain.anomalies import Facts, Key, judge
from tasks.domain.baselines import Point

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
USUAL = {
    "records_extracted": 500.0,
    "records_processed": 480.0,
    "duration_seconds": 20.0,
    "failed_share": 0.0,
    "unchanged_share": 0.04,
}


def facts(figures=None, **changes):
    usual = Facts(
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=20),
        figures=USUAL | (figures or {}),
        page_items=(250, 249),
        most_items=None,
        newest_at=NOW,
        fresh_for_s=3600,
        incremental=False,
        scheduled=True,
        observes_now=True,
    )
    return replace(usual, **changes)


def history(runs=20, **figures):
    return {
        figure: [
            Point(NOW - timedelta(hours=5 * (age + 1)), value, flagged=False) for age in range(runs)
        ]
        for figure, value in (USUAL | figures).items()
    }


def rules(judgement):
    return [finding.rule for finding in judgement.findings]


def test_a_usual_run_is_not_remarkable():
    judgement = judge(facts(), history())
    assert judgement.findings == []
    assert {key.figure for key in judgement.judged} >= set(USUAL)


@given(st.lists(st.integers(490, 510), min_size=20, max_size=20))
def test_twenty_runs_within_two_percent_raise_nothing(counts):
    for number, count in enumerate(counts):
        past = [Point(NOW, float(value), flagged=False) for value in counts[:number]]
        run = facts({"records_extracted": float(count)})
        assert judge(run, {"records_extracted": past[::-1]}).findings == []


def test_a_tenth_of_the_usual_is_flagged_with_what_was_expected():
    (finding,) = judge(facts({"records_extracted": 50.0}), history()).findings
    assert (finding.rule, finding.value) == ("unusual_records_extracted", 50)
    assert (finding.low, finding.high) == (412.5, 587.5)
    assert finding.score < -3.5
    assert "50" in finding.reason
    assert "412.5 to 587.5" in finding.reason


@pytest.mark.parametrize(
    ("figure", "value", "is_remarkable"),
    [
        ("records_extracted", 2000.0, True),
        ("records_processed", 0.0, True),
        ("duration_seconds", 300.0, True),
        ("duration_seconds", 0.2, False),
        ("failed_share", 0.2, True),
        ("failed_share", 0.02, False),
        ("unchanged_share", 1.0, True),
        ("unchanged_share", 0.3, False),
    ],
)
def test_each_figure_has_its_own_idea_of_usual(figure, value, is_remarkable):
    found = rules(judge(facts({figure: value}), history()))
    assert found == ([f"unusual_{figure}"] if is_remarkable else [])


def test_too_little_history_is_said_and_judges_nothing():
    judgement = judge(facts({"records_extracted": 50.0}), history(runs=6))
    assert judgement.findings == []
    assert judgement.insufficient == dict.fromkeys(USUAL, 6)
    assert Key("unusual_records_extracted", "records_extracted") not in judgement.judged


def test_how_much_is_new_is_judged_at_the_schedules_distance_only():
    again = facts({"records_processed": 0.0, "unchanged_share": 1.0}, scheduled=False)
    assert judge(again, history()).findings == []


def test_a_source_that_sends_only_news_is_not_judged_by_their_number():
    quiet = facts({"records_extracted": 0.0, "records_processed": 0.0}, incremental=True)
    assert judge(quiet, history()).findings == []


def test_a_run_that_asked_for_everything_and_got_nothing_is_remarkable():
    assert rules(judge(facts({"records_extracted": 0.0}), {})) == ["zero_records"]


CUT = {"records_extracted": 500.0}


def test_full_pages_to_a_round_number_below_all_others_are_remarkable():
    cut = facts(CUT, page_items=(250, 250))
    assert rules(judge(cut, history(records_extracted=520.0))) == ["round_page_count"]


@pytest.mark.parametrize(
    ("changes", "usual"),
    [
        ({"page_items": (250, 250)}, 500.0),
        ({"page_items": (250, 250)}, 501.0),
        ({"page_items": (500,)}, 520.0),
        ({"page_items": (251, 249)}, 520.0),
        ({"page_items": (250, 250), "most_items": 500}, 520.0),
    ],
)
def test_a_round_number_alone_is_not_remarkable(changes, usual):
    assert judge(facts(CUT, **changes), history(records_extracted=usual)).findings == []


def test_answers_that_are_new_to_us_but_old_by_their_own_clock_are_remarkable():
    (finding,) = judge(facts(newest_at=NOW - timedelta(hours=2)), history()).findings
    assert (finding.rule, finding.low, finding.high) == ("stale_data", 0, 3600)
    assert finding.value == 7220
    assert "2:00:20 old" in finding.reason


@pytest.mark.parametrize("changes", [{"newest_at": None}, {"observes_now": False}])
def test_old_timestamps_are_no_news_where_nothing_else_is_promised(changes):
    old = {"newest_at": NOW - timedelta(days=9)} | changes
    assert judge(facts(**old), history()).findings == []


def test_a_source_is_late_after_its_schedule_and_its_own_patience():
    six_hours, hour = parse_schedule("0 */6 * * *"), 3600

    def late(hours, fresh_for_s):
        last = NOW - timedelta(hours=hours)
        return anomalies.freshness(last, now=NOW, schedule=six_hours, fresh_for_s=fresh_for_s)

    assert late(9, fresh_for_s=8 * hour) is None
    assert late(9.1, fresh_for_s=8 * hour).high == 9 * hour
    assert late(25, fresh_for_s=26 * hour) is None
    assert "1 day, 3:00:00" in late(27, fresh_for_s=26 * hour).reason
