"""gunicorn in front of the API: what it refuses, and how it stops."""

import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection

import pytest
from sqlalchemy import create_engine, text

from tests.support import live, processes

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture
def locked(api):
    """A connection that keeps every reader of the market waiting until it is closed."""
    engine = create_engine(api.settings.database_url)
    with engine.connect() as connection:
        connection.execute(text("lock table assets in access exclusive mode"))
        yield connection
    engine.dispose()


def waiting(connection) -> int:
    """How many statements wait for the lock."""
    return connection.scalar(
        text("select count(*) from pg_locks where relation = 'assets'::regclass and not granted")
    )


def raw(api, request: bytes) -> bytes:
    """What comes back to bytes that need not be HTTP."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: <script>\r\n\r\n", 400),
        (b"GET /data?name=\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /data?name=" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(100)) + b"\r\n", 431),
    ],
)
def test_what_is_no_request_is_refused_as_a_problem_and_repeats_nothing(api, request_, status):
    head, _, body = raw(api, request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Type: application/problem+json" in head
    assert f'"status":{status},'.encode() in body
    for hostile in (b"<", b"gunicorn", b"NONSENSE", b"xxx", b"\xff"):
        assert hostile not in head + body


def test_no_header_tells_what_the_server_is_made_of(api):
    headers = {name.lower(): value for name, value in api.ask("/data").headers.items()}
    assert headers["server"] == "kasparro"
    assert "x-powered-by" not in headers
    assert not [value for value in headers.values() if "gunicorn" in value or "python" in value]


def test_a_body_that_is_too_large_is_refused(api):
    key = {"X_API_Key": api.key("run"), "Content_Type": "application/json"}
    answer = api.ask("/etl/run", "POST", b'{"reason":"%s"}' % (b"x" * 70_000), **key)
    assert (answer.status, answer.json()["title"]) == (413, "Request Entity Too Large")
    head, _, _ = raw(
        api,
        f"POST /etl/run HTTP/1.1\r\nHost: x\r\nX-API-Key: {key['X_API_Key']}\r\n".encode()
        + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"10000\r\n%s\r\n" % (b" " * 65536) * 2
        + b"0\r\n\r\n",
    ).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "path", ["/data", "/runs", "/runs?shape=array", "/news", "/data/BTC/history", "/drift"]
)
def test_the_link_of_a_list_leads_through_all_of_it(api, path):
    joiner = "&" if "?" in path else "?"
    total = api.ask(path.partition("?")[0]).json()
    total = total.get("total", total.get("total_count"))
    limit = max(1, total // 3)
    seen, following = 0, f"{path}{joiner}limit={limit}"
    while following:
        answer = api.ask(following)
        body = answer.json()
        seen += len(body if isinstance(body, list) else body.get("data") or body.get("runs"))
        link = answer.headers["Link"]
        assert link is None or link.endswith('>; rel="next"')
        following = link and link[1:].partition(">")[0]
    assert seen == total > 1


def test_a_statement_that_takes_too_long_is_given_up(api, locked):
    answer = api.ask("/data?name=given-up")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert waiting(locked) == 0


def test_nothing_from_outside_starts_a_line_of_the_log(api):
    api.ask("/nope%0A%7B%22event%22%3A%22forged%22%7D%0D%0A?x=%0Aforged", User_Agent="a\tb")
    answered = [line for line in api.log.read_text().splitlines() if "forged" in line]
    assert answered
    assert all(line.startswith("{") and line.endswith("}") for line in answered)
    assert [line for line in answered if line.startswith('{"event":"forged')] == []


def test_slow_readers_leave_room_for_others(market, tmp_path):
    """Half of the threads send what lasts; who comes then is told to come back."""
    with live.served(market, tmp_path, GUNICORN_CMD_ARGS="--workers 1", API_THREADS="2") as api:
        headers = {"X_API_Key": api.key("run"), "Content_Type": "application/json"}
        started = api.ask("/etl/run", "POST", b'{"sources":["csv"]}', **headers)
        run_id = started.json()["runs"][0]["run_id"]
        with api.opened(f"/runs/{run_id}/events") as first:
            assert first.status == 200
            refused = api.ask("/data?format=csv")
            assert refused.status == 503
            assert refused.headers["Retry-After"]
            assert api.ask("/data?limit=1").status == 200
        assert api.ask(f"/runs/{run_id}/cancel", "POST", **headers).status == 202
        processes.wait_until(
            lambda: api.ask("/data?format=csv").status == 200, timeout_s=10, what="there is room"
        )


@contextmanager
def held_up(api):
    """A request that is under way, and what lets it go on."""
    engine = create_engine(api.settings.database_url)
    with ThreadPoolExecutor() as pool, engine.connect() as connection:
        connection.execute(text("lock table assets in access exclusive mode"))
        slow = pool.submit(api.ask, "/data?name=under-way")
        processes.wait_until(lambda: waiting(connection) == 1, timeout_s=5, what="it waits")
        yield slow, connection.rollback
    engine.dispose()


def test_on_sigterm_it_first_says_so_then_finishes_what_it_has_and_ends(market, tmp_path):
    with live.served(market, tmp_path, API_DRAIN_S="4") as api:
        with held_up(api) as (slow, release):
            assert api.ask("/health/ready").status == 200
            api.process.send_signal(signal.SIGTERM)
            processes.wait_until(
                lambda: api.ask("/health/ready").status == 503, timeout_s=3, what="not ready"
            )
            assert api.ask("/health/ready").json()["draining"] is True
            assert api.ask("/health/live").status == 200
            assert api.ask("/runs").status == 200
            assert not slow.done()
            release()
            assert slow.result().status == 200
        assert api.process.wait(timeout=20) == 0
        assert live.problems_in(api.log) == []


def test_what_is_under_way_when_the_drain_ends_is_finished_too(market, tmp_path):
    with live.served(market, tmp_path, API_DRAIN_S="0") as api:
        with held_up(api) as (slow, release):
            api.process.send_signal(signal.SIGTERM)
            processes.wait_until(lambda: not answers(api.port), timeout_s=4, what="it is closed")
            release()
            assert slow.result().status == 200
        assert api.process.wait(timeout=20) == 0


def answers(port) -> bool:
    """Whether a new connection is taken; the kernel may still let it wait."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=0.5)) as connection:
        try:
            connection.request("GET", "/health/live")
            return connection.getresponse().status == 200
        except OSError:
            return False


def test_pools_have_a_connection_for_each_thread(market, tmp_path):
    """As many requests as there are threads wait in the database at once, with and without keys."""
    arguments = "--workers 1 --threads 6"
    with live.served(market, tmp_path, GUNICORN_CMD_ARGS=arguments) as api:
        key, engine = api.key("read"), create_engine(api.settings.database_url)
        with ThreadPoolExecutor(6) as pool, engine.connect() as connection:
            connection.execute(text("lock table assets in access exclusive mode"))
            at_once = threading.Barrier(6)

            def ask(number):
                at_once.wait()
                headers = {"X_API_Key": key} if number % 2 else {}
                return api.ask(f"/data?name=thread-{number}", **headers).status

            answers = [pool.submit(ask, number) for number in range(6)]
            processes.wait_until(lambda: waiting(connection) == 6, timeout_s=4, what="all wait")
            connection.rollback()
            assert [answer.result() for answer in answers] == [200] * 6
        engine.dispose()


def test_without_redis_it_reads_and_takes_orders_at_once(market, tmp_path):
    away = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    with live.served(market, tmp_path, **away) as api:
        for path in ("/data", "/runs", "/news", "/stats", "/sources", "/data/BTC", "/metrics"):
            assert (path, api.ask(path).status) == (path, 200)
        health = api.ask("/health").json()
        assert (health["status"], health["broker"]) == ("degraded", "unavailable")
        key = api.key("run")
        began = time.monotonic()
        started = api.ask("/etl/run", "POST", X_API_Key=key)
        assert time.monotonic() - began < 3
        assert (started.status, started.json()["broker"]) == (202, "unavailable")
        for run in started.json()["runs"]:
            api.ask(f"/runs/{run['run_id']}/cancel", "POST", X_API_Key=key)


def test_gunicorn_opens_no_control_socket(api):
    assert "control" not in api.log.read_text().lower()
