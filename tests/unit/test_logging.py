"""What the log shows, and what it must never show."""

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk

from tasks.core import reporting
from tasks.core.errors import ConfigurationError
from tasks.core.logging import configure_logging, get_logger
from tasks.core.redaction import Redactor

SECRET = "hunter2-hunter2-hunter2"
OWN, FOREIGN = "tasks.test", "some.library"


def _raise_beside_a_secret() -> None:
    held_in_a_variable = SECRET
    raise ValueError(len(held_in_a_variable))


def _raise(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_shows_no_variables(style, capsys):
    configure_logging(style=style)
    try:
        _raise_beside_a_secret()
    except ValueError:
        get_logger(OWN).exception("it_failed")
        logging.getLogger(FOREIGN).exception("It failed")
    said = capsys.readouterr().err
    assert said.count("_raise_beside_a_secret") >= 2
    assert SECRET not in said


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize(
    "facts",
    [
        {"api_key": SECRET},
        {"headers": {"Authorization": f"Bearer {SECRET}"}},
        {"headers": [{"x-cg-pro-api-key": SECRET}]},
        {"url": f"https://host/path?page=1&x_cg_pro_api_key={SECRET}&per_page=250"},
        {"url": f"postgresql://user:{SECRET}@host/database"},
        {"reason": f"The vendor says: key {SECRET} is not known"},
    ],
    ids=["name", "header", "nested", "query", "password", "echo"],
)
def test_no_secret_is_shown_wherever_it_stands(style, facts, capsys):
    configure_logging(style=style, redactor=Redactor([SECRET] if "reason" in facts else []))
    get_logger(OWN).warning("it_happened", **facts)
    logging.getLogger(FOREIGN).warning("It happened: %s", facts.get("url") or facts.get("reason"))
    said = capsys.readouterr().err
    assert "***" in said
    assert SECRET not in said


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_secret_is_shown_in_the_text_of_an_exception(style, capsys):
    configure_logging(style=style)
    try:
        _raise(f"https://host/path?api_key={SECRET}")
    except ValueError:
        get_logger(OWN).exception("it_failed")
    said = capsys.readouterr().err
    assert "ValueError: https://host/path?api_key=***" in said
    assert SECRET not in said


def test_records_of_others_are_json_like_our_own(capsys):
    configure_logging()
    get_logger(OWN).info("it_happened", count=2)
    logging.getLogger(FOREIGN).warning("It happened %d times", 2)
    own, foreign = map(json.loads, capsys.readouterr().err.splitlines())
    assert (own["event"], own["count"], own["logger"]) == ("it_happened", 2, OWN)
    assert (foreign["event"], foreign["level"]) == ("It happened 2 times", "warning")
    assert own.keys() & foreign.keys() >= {"event", "level", "logger", "timestamp"}


def test_a_short_value_blanks_no_words():
    assert Redactor(["kasparro"]).text("kasparro.fetch.csv") == "kasparro.fetch.csv"


class _Kept(sentry_sdk.transport.Transport):
    """A transport that sends nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.events.append(envelope.get_event())


@pytest.fixture
def sentry(monkeypatch) -> Iterator[_Kept]:
    kept = _Kept()
    reporting.configure(
        "https://key@sentry.example/1", environment="test", redactor=Redactor([SECRET])
    )
    monkeypatch.setattr(sentry_sdk.get_client(), "transport", kept)
    yield kept
    reporting.stop()


def test_an_error_is_reported_with_its_facts_and_without_secrets(sentry, capsys):
    configure_logging()
    try:
        _raise(f"The vendor says: key {SECRET} is not known")
    except ValueError:
        get_logger(OWN).exception("it_failed", run_id="r-1", payload=SECRET)
    get_logger(OWN).warning("not_an_error")
    logging.getLogger(FOREIGN).error("It failed too")
    ours, foreign = sentry.events
    assert ours["exception"]["values"][0]["type"] == "ValueError"
    assert ours["tags"]["run_id"] == "r-1"
    assert ours["extra"]["event"] == "it_failed"
    assert foreign["message"] == "It failed too"
    assert not any("vars" in frame for frame in _frames(ours))
    assert SECRET not in json.dumps([ours, foreign])
    assert " ".join(sys.argv) not in json.dumps([ours, foreign])


def _frames(event: Any) -> list[Any]:
    return event["exception"]["values"][0]["stacktrace"]["frames"]


def test_a_dsn_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match="SENTRY_DSN"):
        reporting.configure("not a dsn", environment="test", redactor=Redactor())
