from service.cli.restarts import LIMIT, STEADY_S, Restarts


def test_each_quick_death_doubles_the_wait_up_to_a_limit():
    restarts = Restarts()
    assert [restarts.delay_after(1) for _ in range(LIMIT)] == [0.5, 1, 2, 4, 8]


def test_too_many_quick_deaths_in_a_row_are_the_end():
    restarts = Restarts(quick_deaths=LIMIT)
    assert restarts.delay_after(1) is None


def test_a_steady_life_clears_the_count():
    restarts = Restarts(quick_deaths=LIMIT)
    assert restarts.delay_after(STEADY_S) == 0.5
