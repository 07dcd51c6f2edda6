"""Celery's settings, as they follow from ours."""

import runpy

import pytest


@pytest.fixture
def celery(monkeypatch):
    def read(**variables):
        monkeypatch.setenv("DATABASE_URL", "postgresql://user@host/kasparro")
        monkeypatch.setenv("REDIS_URL", "redis://host/0")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path("celeryconfig.py")

    return read


def test_each_worker_keeps_to_a_sources_rate_by_itself_too(celery):
    found = celery(COINGECKO_RATE_PER_MINUTE="30", SOURCES="coingecko,csv")["task_annotations"]
    assert found == {"kasparro.fetch.coingecko": {"rate_limit": "30/m"}}


def test_a_message_is_not_delivered_again_while_its_task_may_still_run(celery):
    settings = celery()
    assert settings["task_acks_late"]
    assert settings["task_reject_on_worker_lost"]
    visible_again_s = settings["broker_transport_options"]["visibility_timeout"]
    assert settings["task_soft_time_limit"] < settings["task_time_limit"] < visible_again_s
