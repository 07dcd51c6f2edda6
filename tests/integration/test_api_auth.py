"""Who may call what, and how often."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from service import auth
from service.observability import broker
from service.rate_limits import RedisRateLimiter
from tasks.core.clock import system_clock
from tasks.core.errors import InvalidInputError
from tasks.store.tables import ApiKey
from tests.support.api import running

PUBLIC = ("/health", "/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json")
GUARDED = ("/", "/data", "/stats", "/runs", "/news", "/sources", "/quarantine")


def start(api, **headers):
    return api.post("/etl/run", headers=headers, json={"sources": ["csv"]})


def test_a_local_start_reads_anonymously_and_writes_with_a_key(api):
    assert api.get("/data").status_code == 200
    refused = start(api)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="kasparro"'
    assert start(api, **{"X-API-Key": api.key("run")}).status_code == 202


def test_required_leaves_only_health_metrics_and_documents_open(settings_with):
    with running(settings_with(API_AUTH="required")) as api:
        assert [path for path in PUBLIC if api.get(path).status_code == 401] == []
        assert [path for path in GUARDED if api.get(path).status_code != 401] == []
        key = {"X-API-Key": api.key("read")}
        assert [path for path in GUARDED if api.get(path, headers=key).status_code != 200] == []
        run_only = {"X-API-Key": api.key("run")}
        assert api.get("/data", headers=run_only).status_code == 403


def test_off_lets_everybody_write_but_still_refuses_a_bad_key(settings_with):
    with running(settings_with(API_AUTH="off")) as api:
        assert start(api, **{"X-API-Key": "ksp_unknown_key"}).status_code == 401
        assert start(api).status_code == 202


def test_a_good_key_without_the_scope_is_forbidden(api):
    assert start(api, **{"X-API-Key": api.key("read", "admin")}).status_code == 403


@pytest.mark.parametrize("bad", ["", "ksp_", "ksp__", "junk", "ksp_äöü_x", "ksp_0123456789ab_x"])
def test_a_bad_key_is_never_taken_for_anonymous(api, bad):
    for headers in ({"X-API-Key": bad}, {"Authorization": f"Bearer {bad}"}):
        response = api.get("/data", headers=headers)
        assert response.status_code == 401
        assert "WWW-Authenticate" in response.headers


def test_a_revoked_or_expired_key_is_refused(api):
    key, past = api.key("read"), datetime.now(UTC) - timedelta(seconds=1)
    expired = api.key("read", expires_at=past)
    assert api.get("/data", headers={"X-API-Key": key}).status_code == 200
    with api.transaction() as session:
        auth.revoke_key(session, key.split("_")[1])
    assert api.get("/data", headers={"X-API-Key": key}).status_code == 401
    assert api.get("/data", headers={"X-API-Key": expired}).status_code == 401


def test_a_rotated_key_leaves_the_old_one_for_a_while(api):
    old = api.key("run")
    with api.transaction() as session:
        soon = datetime.now(UTC) + timedelta(hours=1)
        new = auth.rotate_key(session, old.split("_")[1], old_valid_until=soon)
        (fresh, stale) = auth.list_keys(session)
    assert fresh.scopes == stale.scopes == ["run"]
    for key in (old, new):
        assert api.get("/data", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert stale.expires_at == soon


def test_a_secret_is_stored_only_as_a_hash(api):
    key = api.key("read")
    with api.transaction() as session:
        stored = session.execute(text("select to_jsonb(k)::text from api_keys k")).scalar_one()
    assert key.split("_")[2] not in stored


def test_the_use_of_a_key_is_noted_once_a_minute(api):
    key = {"X-API-Key": api.key("read")}
    noted = []
    for _ in range(2):
        api.get("/data", headers=key)
        with api.transaction() as session:
            noted.append(session.scalars(select(ApiKey.last_used_at)).one())
    assert noted[0] is not None
    assert noted[0] == noted[1]


def test_a_key_needs_a_known_scope(session):
    for scopes in ([], ["root"]):
        with pytest.raises(InvalidInputError):
            auth.create_key(session, "x", scopes)


def test_the_scheduler_token_opens_the_trigger_and_nothing_else(settings_with):
    token = "a-token-for-tests"
    with running(settings_with(SCHEDULER_TOKEN=token, API_AUTH="required")) as api:
        assert start(api, **{"X-Scheduler-Token": token}).status_code == 202
        assert start(api, **{"X-Scheduler-Token": token + "x"}).status_code == 401
        assert start(api, **{"X-Scheduler-Token": api.key("run")}).status_code == 409
        assert api.get("/data", headers={"X-Scheduler-Token": token}).status_code == 401


def test_an_empty_scheduler_token_opens_nothing(api):
    assert start(api, **{"X-Scheduler-Token": ""}).status_code == 401


def test_beyond_the_limit_comes_429_with_the_wait(settings_with):
    with running(settings_with(API_RATE_PER_MINUTE="3")) as api:
        answers = [api.get("/data") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["RateLimit-Policy"] == '"default";q=3;w=60'
        assert answers[0].headers["RateLimit"].startswith('"default";r=2;t=')
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
        assert answers[3].headers["RateLimit"].startswith('"default";r=0;t=')
        assert answers[3].json["status"] == 429
        own = {"X-API-Key": api.key("read", rate_per_minute=1)}
        assert [api.get("/data", headers=own).status_code for _ in range(2)] == [200, 429]
        assert api.get("/health/live").status_code == 200


def test_guessing_keys_uses_up_the_limit_of_the_address(settings_with):
    with running(settings_with(API_RATE_PER_MINUTE="3")) as api:
        guesses = [api.get("/data", headers={"X-API-Key": f"ksp_{n}_x"}) for n in range(4)]
    assert [guess.status_code for guess in guesses] == [401, 401, 401, 429]


def test_all_processes_share_one_count(settings_with):
    settings = settings_with(API_RATE_PER_MINUTE="3")
    with running(settings) as one, running(settings) as other:
        answers = [api.get("/data").status_code for api in (one, other, one, other)]
    assert answers == [200, 200, 200, 429]


def test_processes_that_ask_redis_now_and_then_let_no_more_through(settings):
    limiters = [RedisRateLimiter(settings.redis_url, system_clock()) for _ in range(3)]
    verdicts = [limiters[n % 3].hit("address:192.0.2.1", 300) for n in range(400)]
    for limiter in limiters:
        limiter.close()
    allowed = [verdict.allowed for verdict in verdicts]
    assert allowed == [True] * 300 + [False] * 100
    assert [verdict.remaining for verdict in verdicts[:3]] == [299, 298, 297]


def test_without_redis_reads_are_answered_and_the_outage_is_counted(api):
    shared = api.app.extensions["kasparro"]
    shared.limiter.close()
    shared.limiter = RedisRateLimiter("redis://127.0.0.1:1/0", system_clock())
    shared.redis.close()
    shared.redis = broker.connect("redis://127.0.0.1:1/0")
    before = unchecked(api)
    assert [api.get("/data").status_code for _ in range(3)] == [200, 200, 200]
    assert unchecked(api) == before + 3
    health = api.get("/health")
    assert health.status_code == 200
    assert (health.json["status"], health.json["broker_connected"]) == ("degraded", False)


def unchecked(api):
    lines = api.get("/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith("api_rate_limit_unchecked_total ")]
    return float(line.split()[1])
