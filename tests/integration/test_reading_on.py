"""The fetch of a source without a tight limit goes on with the pages that follow."""

from dataclasses import replace

import pytest

from tasks.core.errors import TransientError
from tasks.domain.runs import Stage
from tests.support.engine import ScriptedConnector, coin, workbench

pytestmark = pytest.mark.integration


@pytest.fixture
def source():
    return ScriptedConnector(pages=[[coin("alpha")], [coin("beta")], [coin("gamma")]])


def _bench(settings, source, rate):
    limited = replace(settings.sources["coingecko"], rate_per_minute=rate)
    return workbench(replace(settings, sources=settings.sources | {"coingecko": limited}), source)


@pytest.mark.parametrize(("rate", "calls"), [(None, 3), (600, 3), (599, 1)])
def test_one_message_reads_a_fast_source_to_its_end_and_one_page_of_a_slow_one(
    settings, source, rate, calls
):
    with _bench(settings, source, rate) as bench:
        run_id = bench.start()
        bench.step(bench.publisher.messages.pop(0))
        assert source.calls == [1, 2, 3][:calls]
        bench.drain()
        assert bench.status(run_id) == "success"
        assert bench.one("select count(*) as n from quotes").n == 3


def test_a_later_page_that_fails_is_tried_again_by_a_message_of_its_own(settings, source):
    good = source.pages[2]
    source.pages[2] = TransientError("Nobody answers.")
    with _bench(settings, source, None) as bench:
        run_id = bench.start()
        first = bench.publisher.messages.pop(0)
        assert bench.step(first) is None
        waiting = [(m.stage, m.page) for m in bench.publisher.messages if m.stage is Stage.FETCH]
        assert waiting == [(Stage.FETCH, 3)]
        source.pages[2] = good
        bench.drain()
        assert (bench.status(run_id), source.calls) == ("success", [1, 2, 3, 3])
