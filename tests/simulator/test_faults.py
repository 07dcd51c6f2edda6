import threading
from collections.abc import Iterator
from dataclasses import replace
from email.utils import parsedate_to_datetime

import pytest
import requests

from tasks.core.errors import ConfigurationError, InvalidInputError
from tasks.core.settings import load_settings
from tasks.simulator.answers import SHAPES
from tasks.simulator.client import SimulatorClient
from tasks.simulator.server import create_server, environment
from tasks.simulator.simulator import Simulator
from tests.simulator.conftest import SMALL


@pytest.fixture
def client(server, simulator) -> Iterator[SimulatorClient]:
    client = SimulatorClient(server.url)
    yield client
    client.close()


def ids(response):
    return [item["id"] for item in response.json()]


def test_a_status_comes_as_often_as_asked_for(markets, simulator):
    simulator.fail("coingecko", "status", status=503, times=2)
    assert [markets().status_code for _ in range(3)] == [503, 503, 200]


def test_a_fault_waits_for_its_turn_and_its_page(markets, simulator):
    simulator.fail("coingecko", "status", status=500, after=1, page=2)
    assert [markets(page).status_code for page in (1, 2, 1, 2, 2)] == [200, 200, 200, 500, 200]


def test_a_fault_concerns_its_source_and_path_only(markets, get, simulator):
    simulator.fail("rss", "status", status=500, path="ledger", times=None)
    assert markets().status_code == 200
    assert get("/feeds/wire").status_code == 200
    assert [get("/feeds/ledger").status_code for _ in range(3)] == [500, 500, 500]
    simulator.clear("coingecko")
    assert get("/feeds/ledger").status_code == 500
    simulator.clear("rss")
    assert get("/feeds/ledger").status_code == 200


def test_a_probability_is_drawn_from_the_seed(markets, simulator):
    def run():
        simulator.clear()
        simulator.fail("coingecko", "status", probability=0.5, seed=3, times=None)
        return [markets(per_page=1).status_code for _ in range(20)]

    first = run()
    assert set(first) == {200, 500}
    assert run() == first


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_every_error_shape_can_be_had(markets, simulator, shape):
    simulator.fail("coingecko", "status", status=418, shape=shape)
    assert markets().status_code == 418


@pytest.mark.parametrize(
    ("path", "source", "status", "body"),
    [
        ("/api/v3/ping", "coingecko", 500, {"status": 500, "error": "Internal Server Error"}),
        ("/api/v3/ping", "coingecko", 404, {"error": "coin not found"}),
        ("/v1/tickers", "coinpaprika", 404, {"error": "id not found"}),
        ("/v1/tickers", "coinpaprika", 429, {"error": "Too many requests"}),
        ("/v1/tickers", "coinpaprika", 500, {"error": "internal server error"}),
    ],
)
def test_a_vendor_says_it_in_its_own_words(get, simulator, path, source, status, body):
    simulator.fail(source, "status", status=status)
    assert get(path).json() == body


def test_too_many_requests_may_say_how_long(markets, simulator):
    def wait(**options):
        simulator.fail("coingecko", "status", status=429, **options)
        return markets().headers.get("Retry-After")

    none, seconds, date = (
        wait(), wait(retry_after_s=7), wait(retry_after_s=7, retry_after_date=True)
    )  # fmt: skip
    assert none is None
    assert seconds == "7"
    assert parsedate_to_datetime(date).tzinfo is not None


def test_a_delay_holds_the_answer_back(markets, simulator):
    simulator.fail("coingecko", "delay", seconds=30)
    with pytest.raises(requests.ReadTimeout):
        markets(timeout=0.2)


def test_a_drip_spreads_the_body(markets, simulator):
    whole = markets().content
    simulator.fail("coingecko", "drip", seconds=0.1)
    assert markets().content == whole


def test_a_reset_breaks_the_connection(markets, simulator):
    simulator.fail("coingecko", "reset")
    with pytest.raises(requests.ConnectionError):
        markets()
    assert simulator.requests("coingecko")[0].status == 0
    assert markets().status_code == 200


def test_a_truncated_body_is_shorter_than_announced(markets, simulator):
    simulator.fail("coingecko", "truncate", share=0.3)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        markets()


def test_html_and_an_empty_body_come_with_200(markets, simulator):
    simulator.fail("coingecko", "html")
    simulator.fail("coingecko", "empty", after=1)
    html, empty = markets(), markets()
    assert (html.status_code, html.text[:9]) == (200, "<!DOCTYPE")
    assert (empty.status_code, empty.content) == (200, b"")


def test_a_renamed_field_is_renamed_on_every_item(markets, simulator):
    before = markets().json()
    simulator.fail("coingecko", "rename_field", field="current_price", to="currentPrice")
    after = markets().json()
    assert [item["currentPrice"] for item in after] == [item["current_price"] for item in before]
    assert not any("current_price" in item for item in after)


def test_fields_vanish_appear_and_change_type(markets, get, simulator):
    simulator.fail("coingecko", "drop_field", field="roi")
    simulator.fail("coingecko", "add_field", field="mood", value={"bull": True})
    simulator.fail("coingecko", "retype_field", field="total_volume")
    simulator.fail("coingecko", "retype_field", field="name")
    item = markets().json()[0]
    assert "roi" not in item
    assert item["mood"] == {"bull": True}
    assert isinstance(item["total_volume"], str)
    assert item["name"] == 0


def test_nested_fields_drift_too(get, simulator):
    simulator.fail(
        "coinpaprika", "rename_field", field="quotes.USD.price", to="quotes.USD.last_price"
    )
    quote = get("/v1/tickers").json()[0]["quotes"]["USD"]
    assert "last_price" in quote
    assert "price" not in quote


def test_a_bad_item_is_the_only_one(markets, get, simulator):
    good = markets().text
    simulator.fail("coingecko", "bad_item", item=3, field="id", value=None)
    simulator.fail("coingecko", "bad_item", item=5, field="current_price", value="12,5")
    bad = markets().json()
    assert [place for place, item in enumerate(bad) if item["id"] is None] == [3]
    assert bad[5]["current_price"] == "12,5"
    assert markets().text == good
    simulator.fail("rss", "bad_item", item=0, field="title", value=None)
    assert get("/feeds/notes").json()["items"][0]["title"] is None


def test_untouched_values_keep_their_exact_text(markets, simulator):
    good = markets().text
    simulator.fail("coingecko", "bad_item", item=0, field="name", value="Bitcoin")
    assert markets().text == good


def test_a_rank_shift_moves_a_coin_over_the_seam(markets, simulator):
    first, second = ids(markets(1)), ids(markets(2))
    simulator.fail("coingecko", "rank_shift", page=2)
    assert ids(markets(1)) == first
    moved = ids(markets(2))
    assert moved == [first[-1], *second[1:]]
    assert ids(markets(1)) == [*first[:-1], second[0]]
    simulator.clear()
    assert ids(markets(2)) == second


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("nobody", {"kind": "reset"}),
        ("coingecko", {"kind": "earthquake"}),
        ("coingecko", {"kind": "status", "colour": "red"}),
        ("coingecko", {"kind": "status", "status": "many"}),
        ("coingecko", {"kind": "status", "shape": "round"}),
        ("coingecko", {"kind": "drop_field"}),
        ("coingecko", {"kind": "rename_field", "field": "id"}),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(client, simulator, source, options):
    with pytest.raises(InvalidInputError):
        simulator.fail(source, **options)
    with pytest.raises(InvalidInputError):
        client.fail(source, **options)


def test_a_limit_is_enforced_as_the_vendor_would(markets, get, simulator):
    simulator.limit("coingecko", 3)
    simulator.limit("coinpaprika", 1)
    answers = [markets(per_page=1) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].json()["status"]["error_code"] == 429
    refused = [get("/v1/coins") for _ in range(2)][-1]
    assert (refused.status_code, "Retry-After" in refused.headers) == (429, False)


@pytest.mark.parametrize(
    ("plan", "headers", "status", "code"),
    [
        ("demo", {"x-cg-demo-api-key": "k"}, 200, None),
        ("demo", {}, 401, 10002),
        ("demo", {"x-cg-pro-api-key": "k"}, 400, 10010),
        ("pro", {"x-cg-demo-api-key": "k"}, 400, 10011),
        ("pro", {"x-cg-pro-api-key": "k"}, 200, None),
    ],
)
def test_coingecko_wants_its_plans_header(plan, headers, status, code):
    config = replace(SMALL, coins=50, coingecko_coins=40, coinpaprika_tickers=40)
    simulator = Simulator(replace(config, coingecko_plan=plan, coingecko_api_key="k"))
    answer = simulator.handle("/api/v3/ping", {}, headers)
    assert answer.status == status
    assert code is None or str(code).encode() in answer.body


def test_coinpaprika_wants_the_bare_key():
    config = replace(SMALL, coins=50, coingecko_coins=40, coinpaprika_tickers=40)
    simulator = Simulator(replace(config, coinpaprika_api_key="k"))
    assert simulator.handle("/v1/coins", {}, {"authorization": "k"}).status == 200
    assert simulator.handle("/v1/coins", {}, {"authorization": "Bearer k"}).status == 403


def test_the_log_counts_every_request_of_every_thread(server, simulator):
    def call():
        with requests.Session() as session:
            for _ in range(20):
                session.get(server.url + "/api/v3/ping", timeout=10)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    arrivals = simulator.requests("coingecko")
    assert len(arrivals) == 160
    assert simulator.max_in_window("coingecko", 60) == 160
    times = [arrival.monotonic for arrival in arrivals]
    assert times == sorted(times)


def test_a_window_holds_only_what_is_within_it():
    from tests.simulator.test_market import HandClock  # noqa: PLC0415

    hand = HandClock()
    simulator = Simulator(replace(SMALL, coins=50, coingecko_coins=40, coinpaprika_tickers=40), hand.clock())  # fmt: skip  # noqa: E501
    simulator.limit("rss", 2)
    statuses = []
    for hand.seconds in (0.0, 10.0, 30.0, 61.0, 90.0):
        statuses.append(simulator.handle("/feeds/wire", {}, {}).status)
    assert statuses == [200, 200, 429, 429, 200]
    assert simulator.max_in_window("rss", 60) == 3
    assert simulator.max_in_window("rss", 20) == 2
    assert simulator.max_in_window("coingecko", 20) == 0


def test_the_client_plays_as_the_simulator_itself(client, markets, server):
    number = client.fail("coingecko", "status", status=502)
    before = client.state()["tick"]
    assert markets().status_code == 502
    assert client.advance(2) == before + 2
    assert [arrival.status for arrival in client.requests("coingecko")] == [502]
    assert client.max_in_window("coingecko", 60) == 1
    assert [fault["number"] for fault in client.state()["faults"]] == [number]
    assert client.truth()[0]["coingecko"][0] == "bitcoin"
    client.limit("coingecko", 1)
    assert markets().status_code == 429
    client.limit("coingecko", None)
    client.clear()
    client.reset()
    assert client.requests("coingecko") == []


def test_nonsense_at_the_control_api_is_refused(server, http):
    url = server.url + "/_control"
    assert http.post(url + "/faults", data=b"[1]", timeout=5).status_code == 422
    assert http.post(url + "/tick", json={"ticks": 0}, timeout=5).status_code == 422
    assert http.post(url + "/limits", json={}, timeout=5).status_code == 422
    assert http.get(url + "/nowhere", timeout=5).status_code == 404
    assert http.post(server.url + "/v1/tickers", timeout=5).status_code == 405
    assert http.post(url + "/faults", data=b" " * 2_000_000, timeout=5).status_code == 413


def test_stopping_ends_a_delay_at_once():
    config = replace(SMALL, coins=50, coingecko_coins=40, coinpaprika_tickers=40)
    with create_server(config) as server:
        server.simulator.fail("rss", "delay", seconds=600)
        with requests.Session() as session, pytest.raises(requests.ReadTimeout):
            session.get(server.url + "/feeds/wire", timeout=0.2)


def test_a_taken_port_is_named(server):
    port = server.server_address[1]
    with pytest.raises(ConfigurationError, match=str(port)):
        create_server(port=port, simulator=server.simulator)


def test_the_environment_points_every_source_at_the_simulator(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "postgresql://user@host/kasparro")
    monkeypatch.setenv("REDIS_URL", "redis://host:6379/0")
    for name, value in environment("http://127.0.0.1:9", str(tmp_path)).items():
        monkeypatch.setenv(name, value)
    sources = load_settings().sources
    assert sources["coingecko"].base_url == "http://127.0.0.1:9/api/v3"
    assert sources["coingecko"].max_coins is None
    assert sources["coinpaprika"].base_url == "http://127.0.0.1:9/v1"
    assert len(sources["rss"].urls) == 3
    assert sources["csv"].path == str(tmp_path)
