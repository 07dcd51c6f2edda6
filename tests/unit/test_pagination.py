"""Cursors and page numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.pagination import (
    PageRequest,
    Position,
    decode_cursor,
    encode_cursor,
    facts,
    fingerprint,
)
from tasks.core.errors import InvalidInputError

positions = st.builds(
    Position,
    key=st.none() | st.text(),
    row_id=st.text(min_size=1),
    walk=st.text("0123456789abcdef", max_size=16),
    offset=st.integers(0, 10**9),
)


@given(position=positions, bound_to=st.text())
def test_a_cursor_gives_back_its_position(position, bound_to):
    assert decode_cursor(encode_cursor(position, bound_to), bound_to) == position


@given(text=st.text(), bound_to=st.text())
def test_any_other_text_is_refused(text, bound_to):
    with pytest.raises(InvalidInputError):
        decode_cursor(text, bound_to)


@given(position=positions)
def test_a_cursor_serves_only_the_list_it_was_made_for(position):
    cursor = encode_cursor(position, fingerprint("rank", {"source": "csv"}))
    for other in (fingerprint("-rank", {"source": "csv"}), fingerprint("rank", {})):
        with pytest.raises(InvalidInputError):
            decode_cursor(cursor, other)


def test_a_fingerprint_does_not_depend_on_the_order_of_filters():
    assert fingerprint("", {"a": 1, "b": None}) == fingerprint("", {"a": 1})
    assert fingerprint("", {"a": 1, "b": 2}) == fingerprint("", {"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("limit", "offset", "total", "page", "pages"),
    [
        (10, 0, 0, 1, 0),
        (10, 0, 1, 1, 1),
        (10, 10, 21, 2, 3),
        (10, 25, 30, 3, 3),
        (7, 0, None, 1, None),
    ],
)
def test_a_page_is_described_in_the_words_of_every_style(limit, offset, total, page, pages):
    found = facts(
        PageRequest(limit=limit, offset=offset), returned=1, total=total, next_cursor=None
    )
    assert (found["page"], found["total_pages"], found["total_items"]) == (page, pages, total)
    assert found["limit"] == found["page_size"] == found["per_page"] == limit
