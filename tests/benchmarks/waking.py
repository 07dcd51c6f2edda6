"""From being told to working: our trigger, and a plain Celery task on the same broker."""

import time

import redis
import requests

from service import auth
from tests.benchmarks import plain_celery
from tests.benchmarks.figures import Figure, Goal, alternating, ratios
from tests.benchmarks.serving import ours
from tests.benchmarks.stand import Stand, say
from tests.support.processes import running, wait_until


def measure(stand: Stand, *, repetitions: int) -> list[Goal]:
    """Measure Q1: ``POST /etl/run`` to the first fetch, over Celery's own enqueue to start."""
    stand.empty()
    (stand.csv / "coins.csv").write_text("id,symbol,name,price\nbitcoin,btc,Bitcoin,1\n")
    settings = stand.settings(None)
    dependencies = stand.dependencies(settings)
    with dependencies.transaction() as session:
        key = auth.create_key(session, "bench", ["run"])
    client = redis.Redis.from_url(stand.redis_url)
    plain_celery.app.conf.broker_url = stand.redis_url
    log = stand.log / "plain.log"
    plain = ["-m", "celery", "-A", "tests.benchmarks.plain_celery", "worker", "-c", "2"]
    plain += ["-Q", "bench", "--without-gossip", "--without-mingle", "-l", "INFO"]
    with (
        running(plain, {"BENCH_REDIS_URL": stand.redis_url}, log),
        stand.worker(settings),
        ours(stand) as api,
    ):
        wait_until(lambda: b"ready." in log.read_bytes(), timeout_s=60, what="plain worker")
        sides = {
            "ours": lambda: _trigger(stand, api, key),
            "Celery": lambda: _enqueue(client),
        }
        for warm in sides.values():
            warm()
        found = alternating(sides, repetitions=repetitions)
    dependencies.engine.dispose()
    goal = Goal(
        number="Q1",
        work="POST /etl/run to the first fetch at work, over Celery's enqueue to start",
        ratio=ratios(found["ours"], found["Celery"]),
        at_most=3,
        detail={f"{name}, s": Figure.of(values) for name, values in found.items()},
    )
    say(f"  Q1 {goal.shown}")
    return [goal]


def _trigger(stand: Stand, api: str, key: str) -> float:
    began = time.time()
    answer = requests.post(
        f"{api}/etl/run", json={"sources": ["csv"]}, headers={"X-API-Key": key}, timeout=10
    )
    if answer.status_code != 202:
        raise AssertionError(answer.text)
    run = answer.json()["runs"][0]["run_id"]
    ended = "select count(*) from etl_runs where run_id = :run and finished_at is not null"
    wait_until(lambda: stand.value(ended, run=run) == 1, timeout_s=30, what="the run ends")
    started = stand.value(
        "select extract(epoch from min(at)) from run_events"
        " where run_id = :run and event = 'fetch_started'",
        run=run,
    )
    return float(started) - began


def _enqueue(client: redis.Redis) -> float:
    client.delete(plain_celery.STARTED)
    began = time.time()
    plain_celery.note.apply_async()
    popped = client.blpop([plain_celery.STARTED], timeout=10)
    if popped is None:
        raise AssertionError("the task did not start")
    return float(popped[1]) - began
