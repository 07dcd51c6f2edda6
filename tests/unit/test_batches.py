from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tasks.domain.batches import (
    FIRST_ITEMS,
    GROWTH,
    LONGEST_WAIT,
    TARGET_ITEMS,
    OpenPage,
    closed_by,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAGES = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 5)), max_size=30).map(
    lambda sizes: [
        OpenPage(number, items, NOW - timedelta(seconds=age))
        for number, (items, age) in enumerate(sizes, start=1)
    ]
)


@given(PAGES, st.booleans())
def test_batches_are_consecutive_pages_from_the_first_one_on(pages, last):
    batches = closed_by(pages, before=0, now=NOW, last=last)
    flat = [page for batch in batches for page in batch]
    assert flat == [page.page for page in pages][: len(flat)]


@given(PAGES)
def test_nothing_waits_when_the_source_has_been_read_to_its_end(pages):
    batches = closed_by(pages, before=0, now=NOW, last=True)
    assert sum(map(len, batches)) == len(pages)


@given(PAGES, st.integers(0, 10_000), st.booleans())
def test_a_batch_is_no_larger_than_the_target_or_its_growth_and_one_page(pages, before, last):
    items = {page.page: page.items for page in pages}
    for batch in closed_by(pages, before=before, now=NOW, last=last):
        held = sum(items[page] for page in batch[:-1])
        assert held < TARGET_ITEMS
        assert held < max(FIRST_ITEMS, GROWTH * before)
        before += sum(items[page] for page in batch)


def test_batches_grow_to_the_target():
    pages = [OpenPage(number, 250, NOW) for number in range(1, 81)]
    batches = closed_by(pages, before=0, now=NOW, last=False)
    assert [250 * len(batch) for batch in batches] == [1000, 4000, 5000, 5000, 5000]


def test_a_page_waits_for_company_but_not_for_long():
    page = OpenPage(1, 10, NOW)
    assert closed_by([page], before=0, now=NOW, last=False) == []
    assert closed_by([page], before=0, now=NOW + LONGEST_WAIT, last=False) == [[1]]
