"""Requests that browsers and proxies make for others."""

import json
import logging

import pytest

from tasks.core.errors import ConfigurationError
from tasks.core.logging import configure_logging
from tasks.core.settings import load_settings
from tests.support.api import running

SHOP = "https://shop.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}


def cors(response):
    return {k: v for k, v in response.headers.items() if k.startswith("Access-Control-")}


def test_no_page_of_another_origin_may_read_anything_unless_it_is_configured(still_api):
    for headers in ({"Origin": SHOP}, {"Origin": SHOP, **PREFLIGHT}, {"Origin": "null"}):
        assert cors(still_api.client.options("/etl/run", headers=headers)) == {}
        assert cors(still_api.get("/data", headers=headers)) == {}


def test_a_configured_origin_may_ask_and_read(settings_with):
    with running(settings_with(API_CORS_ORIGINS=f"{SHOP},https://b.example:8443")) as api:
        allowed = cors(api.client.options("/etl/run", headers={"Origin": SHOP, **PREFLIGHT}))
        assert allowed["Access-Control-Allow-Origin"] == SHOP
        assert "POST" in allowed["Access-Control-Allow-Methods"]
        assert "X-API-Key" in allowed["Access-Control-Allow-Headers"]
        answer = api.get("/data", headers={"Origin": SHOP})
        assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Origin" in answer.vary
        refused = api.post("/etl/run", headers={"Origin": SHOP})
        assert (refused.status_code, cors(refused)["Access-Control-Allow-Origin"]) == (401, SHOP)
        for stranger in ("https://shop.example.evil", "http://shop.example", "null"):
            other = api.get("/data", headers={"Origin": stranger})
            assert cors(other) == {}
            assert "Origin" in other.vary


def test_every_origin_can_be_allowed(settings_with):
    with running(settings_with(API_CORS_ORIGINS="*")) as api:
        answer = api.get("/data", headers={"Origin": SHOP})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "https://*.example/x"])
def test_what_is_no_origin_is_refused_at_the_start(settings, monkeypatch, origin):
    monkeypatch.setenv("API_CORS_ORIGINS", origin)
    with pytest.raises(ConfigurationError, match="API_CORS_ORIGINS"):
        load_settings()


@pytest.mark.parametrize("name", ["TRUSTED_PROXIES", "API_DRAIN_S"])
def test_a_number_below_zero_is_refused_at_the_start(settings, monkeypatch, name):
    monkeypatch.setenv(name, "-1")
    with pytest.raises(ConfigurationError, match=name):
        load_settings()


@pytest.fixture
def said():
    """What the access log says, as the process would write it."""
    lines = []
    configure_logging(level="INFO", style="json")
    handler = logging.Handler()
    formatter = logging.getLogger().handlers[0].formatter
    handler.emit = lambda record: lines.append(formatter.format(record))
    logging.getLogger().addHandler(handler)
    return lines


def remotes(said):
    return [json.loads(line)["remote"] for line in said if "request_answered" in line]


@pytest.mark.parametrize(
    ("trusted", "seen"), [("0", "127.0.0.1"), ("1", "203.0.113.9"), ("2", "198.51.100.7")]
)
def test_so_many_proxies_are_believed_as_are_said_to_be_there(settings_with, said, trusted, seen):
    with running(settings_with(TRUSTED_PROXIES=trusted)) as api:
        api.get("/data", headers={"X-Forwarded-For": "6.6.6.6, 198.51.100.7, 203.0.113.9"})
    assert remotes(said) == [seen]


def test_a_caller_cannot_escape_the_limit_by_naming_another_address(settings_with):
    with running(settings_with(API_RATE_PER_MINUTE="3", TRUSTED_PROXIES="1")) as api:
        statuses = [
            api.get("/data", headers={"X-Forwarded-For": f"6.6.6.{n}, 203.0.113.9"}).status_code
            for n in range(4)
        ]
    assert statuses == [200, 200, 200, 429]


@pytest.mark.parametrize("style", ["json", "console"])
def test_nothing_from_outside_starts_a_line_of_the_log(still_api, capfd, style):
    configure_logging(level="INFO", style=style)
    still_api.get("/nope%0Aforged%0D%1B[2J", headers={"X-Request-ID": "a b"})
    output = "".join(capfd.readouterr())
    assert "request_answered" in output
    assert "\nforged" not in output
    assert "\r" not in output
    assert "\x1b[2J" not in output
