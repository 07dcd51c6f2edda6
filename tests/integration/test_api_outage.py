"""The API with the real publisher, over a broker that has gone silent."""

import os
import signal
import time
from dataclasses import replace

import pytest
import redis

from service.cli.embedded import valkey
from tasks import bootstrap
from tests.support.api import running


@pytest.fixture
def broker(tmp_path):
    """A Redis-protocol server of the test's own, which it may stop."""
    url = valkey.start_valkey(tmp_path / "valkey")
    with redis.Redis.from_url(url) as client:
        pid = int(client.info("server")["process_id"])
    yield url, pid
    os.kill(pid, signal.SIGCONT)
    valkey.stop_valkey(tmp_path / "valkey")


def test_a_half_open_broker_delays_the_trigger_by_less_than_three_seconds(settings, broker):
    url, pid = broker
    dependencies = bootstrap.build(replace(settings, redis_url=url), role="api")
    with running(dependencies.settings, publisher=dependencies.publisher) as api:
        key = {"X-API-Key": api.key("run")}
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        response = api.post("/etl/run", headers=key)
        took_s = time.monotonic() - began
        assert (response.status_code, response.json["broker"]) == (202, "unavailable")
        assert took_s < 3
        assert {run["status"] for run in api.get("/runs").json["runs"]} == {"queued"}
