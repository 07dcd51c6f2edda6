"""What every connector must do, whoever wrote it. A new one joins through the registry.

A fixture is a pair in ``tests/fixtures/<source>/``: ``NAME.<ext>`` as the vendor would send it and
``NAME.expected.json``, what must come of it. ``KASPARRO_WRITE_EXPECTED=1`` writes the latter anew,
for reading in the diff.
"""

import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.errors import NotFoundError, UnreadablePageError
from tasks.domain.records import Item, NewsEntry, Quote, Rejection
from tasks.sources import registry
from tasks.sources.base import Page

FIXTURES = Path(__file__).parents[1] / "fixtures"
FETCHED_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
WRITES = "KASPARRO_WRITE_EXPECTED" in os.environ

connectors = pytest.mark.parametrize("name", registry.names())


def page_of(body: bytes) -> Page:
    return Page(request="fixture", body=body, media_type="", checkpoint={}, fetched_at=FETCHED_AT)


def fixtures_of(name: str) -> list[Path]:
    return sorted(path for path in (FIXTURES / name).iterdir() if ".expected." not in path.name)


def outcomes(name: str, body: bytes) -> list[Quote | NewsEntry | Rejection]:
    connector = registry.get(name)
    return [connector.normalise(item) for item in connector.parse(page_of(body))]


def readable(outcome: Quote | NewsEntry | Rejection) -> dict[str, object]:
    return {"outcome": type(outcome).__name__} | {
        field: value if value is None else str(value) for field, value in outcome._asdict().items()
    }


@connectors
def test_the_spec_is_sound(name):
    spec = registry.get(name).spec
    assert spec.name == name
    assert spec.kind in {"quotes", "news"}
    assert spec.title.strip() == spec.title != ""
    assert spec.fresh_for_s > 0
    assert spec.resume_within_s >= 0
    with pytest.raises(AttributeError):
        spec.name = "another"


def test_precedence_orders_the_sources():
    precedences = [registry.get(name).spec.precedence for name in registry.names()]
    assert len(set(precedences)) == len(precedences)


@connectors
def test_fixtures_become_the_expected_records(name):
    assert fixtures_of(name), f"tests/fixtures/{name} is empty"
    for path in fixtures_of(name):
        found = [readable(outcome) for outcome in outcomes(name, path.read_bytes())]
        expected = path.with_name(f"{path.stem}.expected.json")
        if WRITES:
            text = json.dumps(found, indent=1, ensure_ascii=True)
            expected.write_text(f"{text}\n")
        assert found == json.loads(expected.read_text()), path.name


@connectors
def test_fixtures_show_a_record_of_the_right_kind(name):
    kind = {"quotes": Quote, "news": NewsEntry}[registry.get(name).spec.kind]
    found = [o for path in fixtures_of(name) for o in outcomes(name, path.read_bytes())]
    records = [outcome for outcome in found if not isinstance(outcome, Rejection)]
    assert records
    assert {type(record) for record in records} == {kind}


@connectors
def test_parse_gives_items_one_at_a_time_and_verbatim(name):
    connector = registry.get(name)
    for path in fixtures_of(name):
        items = connector.parse(page_of(path.read_bytes()))
        assert isinstance(items, Iterable)
        assert not isinstance(items, (list, tuple))
        assert isinstance(iter(items), Iterator)
        for item in items:
            json.loads(item.payload)
            if connector.spec.json_items:
                assert item.payload in path.read_bytes()


@connectors
def test_the_same_page_always_means_the_same(name):
    for path in fixtures_of(name):
        body = path.read_bytes()
        assert outcomes(name, body) == outcomes(name, body)


@connectors
@given(body=st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
def test_junk_is_an_unreadable_page_and_nothing_worse(name, body):
    check_total(name, body)


@connectors
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_page_is_unreadable_or_yields_outcomes(name, data):
    body = data.draw(st.sampled_from([path.read_bytes() for path in fixtures_of(name)]))
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 40)))
    check_total(name, body[:start] + data.draw(st.binary(max_size=8)) + body[end:])


@connectors
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_normalise_is_total(name, data):
    """Any value may stand in any place of an item that was good before."""
    connector = registry.get(name)
    body = data.draw(st.sampled_from([path.read_bytes() for path in fixtures_of(name)]))
    item = data.draw(st.sampled_from(list(connector.parse(page_of(body)))))
    document = json.loads(item.payload)
    if isinstance(document, dict) and document:
        document[data.draw(st.sampled_from(sorted(document)))] = data.draw(junk_values)
    payload = data.draw(st.sampled_from([json.dumps(document).encode(), b"{}", b"null", b"{"]))
    external_id = data.draw(st.sampled_from([item.external_id, None, "x"]))
    check_outcome(connector.normalise(Item(external_id, payload, item.context)))


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
    | st.sampled_from(["NaN", "-Infinity", "1e400", "0001-01-01T00:00:00+08:00", "\x00", "="])
)
junk_values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text("ab"), scalars)


def check_total(name: str, body: bytes) -> None:
    try:
        found = outcomes(name, body)
    except UnreadablePageError:
        return
    for outcome in found:
        check_outcome(outcome)


def check_outcome(outcome: Quote | NewsEntry | Rejection) -> None:
    """What comes out can be stored as it is: no NUL, no lone surrogate, finite numbers, UTC."""
    assert isinstance(outcome, (Quote, NewsEntry, Rejection))
    for value in outcome:
        if isinstance(value, str):
            assert "\x00" not in value
            value.encode()
        elif isinstance(value, datetime):
            assert value.tzinfo is UTC
    if isinstance(outcome, Rejection):
        assert outcome.rule.isidentifier()
        assert 0 < len(outcome.reason) < 500
    if isinstance(outcome, Quote):
        assert outcome.external_id
        assert outcome.symbol
        assert outcome.price_usd is None or outcome.price_usd >= 0
        assert outcome.rank is None or outcome.rank > 0


def test_an_unknown_source_is_named_with_the_known_ones():
    with pytest.raises(NotFoundError, match=r"'coingeko'.*coingecko"):
        registry.get("coingeko")
