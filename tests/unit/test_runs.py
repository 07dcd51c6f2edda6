import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import ConflictError
from tasks.domain.runs import ACTIVE, FINAL, RunStatus, Stage, check_transition, completed_status

STATES = st.sampled_from(list(RunStatus))


@given(st.sampled_from(sorted(FINAL)), STATES)
def test_a_finished_run_stays_finished(before, after):
    with pytest.raises(ConflictError, match=before):
        check_transition(before, after)


@given(STATES)
def test_nothing_becomes_queued_again(before):
    with pytest.raises(ConflictError):
        check_transition(before, RunStatus.QUEUED)


@pytest.mark.parametrize("after", sorted(FINAL - {RunStatus.SUCCESS, RunStatus.PARTIAL}))
@pytest.mark.parametrize("before", sorted(ACTIVE))
def test_an_active_run_can_be_ended(before, after):
    check_transition(before, after)


def test_a_run_succeeds_only_after_it_ran():
    with pytest.raises(ConflictError):
        check_transition(RunStatus.QUEUED, RunStatus.SUCCESS)


def test_a_run_with_rejected_items_is_partial():
    assert completed_status(rejected=0) == RunStatus.SUCCESS
    assert completed_status(rejected=1) == RunStatus.PARTIAL


def test_each_stage_takes_what_the_one_before_it_leaves():
    assert [stage.takes for stage in Stage] == ["pending", "fetched", "transformed"]
