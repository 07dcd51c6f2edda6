from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tasks.domain.batches import LONGEST_WAIT, TARGET_ITEMS, OpenPage, closed_by

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAGES = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 5)), max_size=30).map(
    lambda sizes: [
        OpenPage(number, items, NOW - timedelta(seconds=age))
        for number, (items, age) in enumerate(sizes, start=1)
    ]
)


@given(PAGES, st.booleans())
def test_batches_are_consecutive_pages_from_the_first_one_on(pages, last):
    batches = closed_by(pages, now=NOW, last=last)
    flat = [page for batch in batches for page in batch]
    assert flat == [page.page for page in pages][: len(flat)]


@given(PAGES)
def test_nothing_waits_when_the_source_has_been_read_to_its_end(pages):
    batches = closed_by(pages, now=NOW, last=True)
    assert sum(map(len, batches)) == len(pages)


@given(PAGES, st.booleans())
def test_a_batch_is_not_larger_than_the_target_and_one_page(pages, last):
    items = {page.page: page.items for page in pages}
    for batch in closed_by(pages, now=NOW, last=last):
        assert sum(items[page] for page in batch[:-1]) < TARGET_ITEMS


def test_a_page_waits_for_company_but_not_for_long():
    page = OpenPage(1, 10, NOW)
    assert closed_by([page], now=NOW, last=False) == []
    assert closed_by([page], now=NOW + LONGEST_WAIT, last=False) == [[1]]
