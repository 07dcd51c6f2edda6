from hypothesis import given
from hypothesis import strategies as st

from tasks.domain import shapes
from tasks.domain.shapes import Field, Seen, Shape

_FIELDS = st.builds(
    Field,
    types=st.sets(st.sampled_from(["string", "number", "object"])).map(sorted).map(tuple),
    required=st.booleans(),
    null_rate=st.sampled_from([0.0, 0.5, 1.0]),
)
_SHAPES = st.builds(
    Shape, fields=st.dictionaries(st.sampled_from("abc"), _FIELDS), is_table=st.booleans()
)


def test_every_item_of_a_page_is_looked_at():
    rows = [{"id": "a", "price": 1}] * 999 + [{"id": "z", "price": None, "odd": []}]
    measured = shapes.measure(rows, frozenset())
    assert measured.items == 1000
    assert measured.fields["price"] == Seen(1000, 1, frozenset({"number"}))
    assert measured.fields["odd"] == Seen(1, 0, frozenset({"array"}))


def test_an_object_is_looked_into_where_the_shape_names_its_fields():
    rows = [{"quotes": {"USD": {"price": 1.5}, "EUR": {"price": 1}}}, {"quotes": None}]
    measured = shapes.measure(rows, frozenset({"quotes", "quotes.USD"}))
    assert measured.fields["quotes.USD.price"] == Seen(1, 0, frozenset({"number"}))
    assert "quotes.EUR.price" not in measured.fields
    assert measured.holders("quotes.USD") == 1


def test_whole_numbers_and_fractions_are_one_type_and_truth_is_another():
    rows = [{"a": 1, "b": True}, {"a": 1.5, "b": False}]
    fields = shapes.measure(rows, frozenset()).fields
    assert (fields["a"].types, fields["b"].types) == ({"number"}, {"boolean"})


def test_what_is_no_json_object_is_passed_over():
    payloads = [b'{"a":1}', b"[1]", b"{", b'{"a":1e999}', b"\xff", b"[" * 5000]
    assert shapes.decode(payloads) == [{"a": 1}]


def test_a_dot_in_a_key_is_no_object():
    measured = shapes.measure([{"Vol.": "1", "Vol": "2"}], frozenset())
    assert [measured.holders(path) for path in measured.fields] == [1, 1]
    row = {"Vol.": "1"}
    shapes.rename(row, shapes.path_of("", "Vol."), "volume")
    assert row == {"volume": "1"}


def test_a_field_is_not_renamed_over_another_one():
    row = {"old": 1, "new": 2}
    shapes.rename(row, "new", "old")
    assert row == {"old": 1, "new": 2}


def test_the_learned_shape_of_a_table_is_its_header_and_not_its_broken_rows():
    rows = [{"symbol": "A", "price": "1"}] * 3 + [{"symbol": "B"}, {"symbol": "C", "surplus": "x"}]
    shape = shapes.learned(shapes.measure(rows, frozenset()), is_table=True)
    assert {path: field.required for path, field in shape.fields.items()} == {
        "symbol": True,
        "price": True,
    }


@given(_SHAPES, _SHAPES)
def test_merged_shapes_accept_what_either_accepts_in_any_order(one, other):
    merged = shapes.merge(one, other)
    assert merged == shapes.merge(other, one) or list(merged.fields) != list(one.fields)
    for shape in (one, other):
        for path, field in shape.fields.items():
            both = merged.fields[path]
            assert set(field.types) <= set(both.types)
            assert both.null_rate >= field.null_rate
            assert field.required or not both.required
