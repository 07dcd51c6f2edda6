import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain import contracts
from tasks.domain.contracts import ContractMode
from tasks.domain.shapes import Field, Shape

NUMBER, TEXT = Field(("number",)), Field(("string",))
FLAT = Shape(fields={"id": TEXT, "price": NUMBER})
NESTED = Shape(
    fields={
        "id": TEXT,
        "quotes": Field(("object",)),
        "quotes.USD": Field(("object",)),
        "quotes.USD.price": NUMBER,
    },
    open=("quotes",),
)
EXACT = b"12345678901234567890.123456789012345678901234567890e-40"


def judge(payloads, mode, accepted=FLAT):
    return contracts.judge(payloads, accepted, mode)


def test_an_expected_page_is_handed_back_as_it_is():
    payloads = [b'{"id":"a","price":1}']
    for mode in ContractMode:
        judged = judge(payloads, mode)
        assert judged.payloads is payloads
        assert (judged.deviants, judged.finding) == ({}, None)


def test_a_field_gets_its_own_name_back_and_keeps_every_digit():
    payload = b'{"id":"a","quotes":{"usd":{"prices":%s}}}' % EXACT
    (mended,) = judge([payload], ContractMode.EVOLVE, NESTED).payloads
    assert mended == b'{"id":"a","quotes":{"USD":{"price":%s}}}' % EXACT


def test_an_accepted_rename_is_undone_without_a_finding():
    accepted = Shape(fields=FLAT.fields, renamed={"prices": "price"})
    judged = judge([b'{"id":"a","prices":%s}' % EXACT], ContractMode.FREEZE, accepted)
    assert judged.finding is None
    assert judged.payloads == [b'{"id":"a","price":%s}' % EXACT]


def test_rows_that_deviate_are_set_aside_and_the_others_kept():
    payloads = [
        b'{"id":"a","price":1}',
        b'{"id":"b","price":"1"}',
        b'{"id":"c"}',
        b'{"price":1,"id":"d","x":1}',
    ]
    judged = judge(payloads, ContractMode.DISCARD_ROW)
    assert {place: deviation.field for place, deviation in judged.deviants.items()} == {
        1: "price",
        2: "price",
        3: "x",
    }


def test_a_row_under_another_name_fits_once_it_has_its_own_back():
    judged = judge([b'{"id":"a","Price":1}'], ContractMode.DISCARD_ROW)
    assert judged.deviants == {}
    assert judged.finding.matches


def test_values_that_deviate_are_left_out():
    payloads = [b'{"id":"a","price":"cheap","odd":[1]}']
    assert judge(payloads, ContractMode.DISCARD_VALUE).payloads == [b'{"id":"a","price":null}']


def test_values_inside_of_objects_are_left_out_and_data_keys_are_kept():
    payloads = [b'{"id":"a","quotes":{"USD":{"price":true,"odd":1},"EUR":{"price":2}}}']
    (left,) = judge(payloads, ContractMode.DISCARD_VALUE, NESTED).payloads
    assert left == b'{"id":"a","quotes":{"USD":{"price":null},"EUR":{"price":2}}}'


def test_a_table_keeps_its_names():
    header = Shape(fields={"id": TEXT, "price": TEXT}, is_table=True)
    payloads = [b'{"id":"a","price_usd":"1"}']
    judged = judge(payloads, ContractMode.EVOLVE, header)
    assert judged.payloads is payloads
    assert judged.finding.matches


@given(
    st.binary(max_size=20)
    | st.recursive(st.none() | st.integers(), st.lists).map(msgspec.json.encode)
)
def test_bytes_that_are_no_item_pass_through(payload):
    for mode in ContractMode:
        judged = judge([payload, b'{"id":"a","Price":1}'], mode)
        assert judged.payloads[0] == payload
