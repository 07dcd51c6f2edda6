"""Where the records of a CSV text begin and end."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from tasks.sources import csv_records

cells = st.text(st.sampled_from('ab,;"\n\r \u00e9'), max_size=6)
tables = st.lists(st.lists(cells, min_size=1, max_size=4), max_size=12)


def written(table, *, line_end="\n"):
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=line_end).writerows(table)
    return stream.getvalue()


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def cut_up(text, max_rows, max_chars):
    """Cut a text into pages and read each page alone."""
    while text:
        piece = csv_records.cut(
            text,
            ",",
            max_rows=max_rows,
            max_chars=max_chars,
            is_complete=True,
            is_header=lambda _: False,
        )
        yield [row.cells for row in csv_records.rows(text[: piece.length], ",")]
        text = text[piece.length :]


@given(tables, st.sampled_from(["\n", "\r\n"]), st.integers(1, 4), st.integers(1, 40))
def test_cut_anywhere_a_table_reads_as_a_whole(table, line_end, max_rows, max_chars):
    text = written(table, line_end=line_end)
    pages = list(cut_up(text, max_rows, max_chars))
    assert [cells for page in pages for cells in page] == read(text)


@given(tables, st.integers(0, 60))
def test_of_an_unfinished_text_only_whole_records_are_taken(table, end):
    whole = written(table)
    head = whole[:end]
    piece = csv_records.cut(
        head, ",", max_rows=99, max_chars=999, is_complete=False, is_header=lambda _: False
    )
    taken = read(head[: piece.length])
    assert taken == read(whole)[: len(taken)]
    assert taken + read(whole[piece.length :]) == read(whole)


@given(st.text(st.sampled_from('ab,"\n\r'), max_size=60))
def test_every_character_belongs_to_exactly_one_record(text):
    assert sum(row.length for row in csv_records.rows(text, ",")) == len(text)


def test_a_quote_that_nobody_closes_costs_one_line():
    found = list(csv_records.rows('a,1\n"b,2\nc,3\n', ","))
    assert [(row.cells, row.is_intact) for row in found] == [
        (["a", "1"], True),
        (['"b,2'], False),
        (["c", "3"], True),
    ]


def test_a_record_over_too_many_lines_is_given_up_early():
    text = 'a,"open\n' + "x,y\n" * csv_records.RECORD_LIMIT_CHARS + '"'
    rows = csv_records.rows(text, ",")
    assert next(rows).is_intact is False
    assert next(rows).cells == ["x", "y"]


def test_a_line_of_absurd_width_is_no_record():
    text = "x" * 200_000 + "\na,b\n"
    first, second = csv_records.rows(text, ",")
    assert not first.is_intact
    assert second.cells == ["a", "b"]


def test_a_repeated_header_ends_the_piece():
    piece = csv_records.cut(
        "a,1\nsymbol,name\nb,2\n",
        ",",
        max_rows=9,
        max_chars=99,
        is_complete=True,
        is_header=lambda cells: cells[0] == "symbol",
    )
    assert piece == csv_records.Piece(4, 1, 0)
