from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tasks.domain.baselines import MIN_POINTS, Expectation, Point, learn

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
VARIES = Expectation(floor_share=0.05, floor=1)
values = st.floats(min_value=0, max_value=1e12, allow_subnormal=False)


def points(*figures, flagged=(), every=timedelta(hours=5)):
    return [
        Point(NOW - every * (age + 1), figure, age in flagged) for age, figure in enumerate(figures)
    ]


def test_fewer_than_seven_runs_are_no_history():
    assert learn(points(*[500] * 6), at=NOW, expectation=VARIES) is None
    assert learn(points(*[500] * 7), at=NOW, expectation=VARIES).points == 7


def test_flagged_runs_are_left_out():
    history = points(500, 500, 500, 500, 500, 500, 50, flagged={6})
    assert learn(history, at=NOW, expectation=VARIES) is None
    history = points(50, *[500] * 7, flagged={0})
    baseline = learn(history, at=NOW, expectation=VARIES)
    assert (baseline.median, baseline.points, baseline.lowest) == (500, 7, 500)


def test_what_seven_runs_in_a_row_are_flagged_for_is_how_the_source_is_now():
    history = points(*[900] * 7, *[500] * 20, flagged=range(7))
    baseline = learn(history, at=NOW, expectation=VARIES)
    assert baseline.low < 900 < baseline.high
    assert not baseline.low < 500 < baseline.high


def test_a_figure_that_never_varied_may_vary_by_its_floors():
    baseline = learn(points(*[500] * 9), at=NOW, expectation=VARIES)
    assert (baseline.low, baseline.high) == (412.5, 587.5)


def test_one_wild_run_moves_nothing():
    calm = learn(points(*[500] * 8), at=NOW, expectation=VARIES)
    wild = learn(points(10**9, *[500] * 8), at=NOW, expectation=VARIES)
    assert (wild.low, wild.high) == (calm.low, calm.high)


def test_runs_of_the_same_hour_of_the_week_count_alone_once_there_are_seven():
    mondays = points(*[10] * 7, every=timedelta(days=7))
    others = [point for point in points(*[500] * 30) if point.at.hour != NOW.hour]
    assert learn([*mondays, *others], at=NOW, expectation=VARIES).median == 10
    assert learn([*mondays[:6], *others], at=NOW, expectation=VARIES).median == 500


def test_runs_of_the_same_hour_count_alone_when_the_day_has_too_few():
    noons = points(*[10] * 7, every=timedelta(days=1))
    nights = [Point(p.at - timedelta(hours=11), 500, flagged=False) for p in points(*[0] * 30)]
    nights = [night for night in nights if night.at.hour != 12]
    assert learn([*noons, *nights], at=NOW, expectation=VARIES).median == 10


def test_too_little_is_remarkable_only_where_it_is_said_so():
    duration = Expectation(floor_share=0.5, below=False)
    baseline = learn(points(*[60] * 8), at=NOW, expectation=duration)
    assert baseline.low == 0


def test_a_share_is_at_most_the_whole():
    share = Expectation(floor=0.5, highest=1)
    assert learn(points(*[0.9] * 8), at=NOW, expectation=share).high == 1


@given(st.lists(values, min_size=MIN_POINTS, max_size=60))
def test_the_median_is_always_expected(figures):
    baseline = learn(points(*figures), at=NOW, expectation=VARIES)
    assert 0 <= baseline.low <= baseline.median <= baseline.high
    assert baseline.score(baseline.median) == 0


@given(st.lists(values, min_size=MIN_POINTS, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_equally_old_runs_does_not_matter(figures, chance):
    shuffled = list(figures)
    chance.shuffle(shuffled)
    at_once = timedelta(0)
    assert learn(points(*figures, every=at_once), at=NOW, expectation=VARIES) == learn(
        points(*shuffled, every=at_once), at=NOW, expectation=VARIES
    )
