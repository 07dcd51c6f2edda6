"""Celery with nothing of ours: a task that notes when it started."""

import os
import time

import redis
from celery import Celery

STARTED = "bench:started"
app = Celery("plain", broker=os.environ.get("BENCH_REDIS_URL"))
app.conf.update(task_ignore_result=True, task_default_queue="bench", worker_prefetch_multiplier=1)


@app.task(name="bench.note")
def note() -> None:
    redis.Redis.from_url(os.environ["BENCH_REDIS_URL"]).rpush(STARTED, repr(time.time()))
