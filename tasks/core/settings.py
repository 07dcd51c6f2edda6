"""Every setting, read once, validated together, and frozen.

Nothing else reads the environment. ``load_settings`` reports every problem at once, so an operator
mends a file once and not ten times.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

from environs import Env, EnvValidationError

from tasks.core import failpoints
from tasks.core.errors import ConfigurationError
from tasks.core.failpoints import FailureInjection
from tasks.core.rules import NO_RULES, REQUIRABLE, RecordRules
from tasks.core.schedules import Schedule, parse_schedule

BUILTIN_SOURCES = ("coingecko", "coinpaprika", "csv", "rss")
DEFAULT_SCHEDULE = "0 */6 * * *"
COINGECKO_HOSTS = {
    "public": "https://api.coingecko.com/api/v3",
    "demo": "https://api.coingecko.com/api/v3",
    "pro": "https://pro-api.coingecko.com/api/v3",
}
COINPAPRIKA_HOSTS = {
    "free": "https://api.coinpaprika.com/v1",
    "paid": "https://api-pro.coinpaprika.com/v1",
}
DEFAULT_FEEDS = (
    "https://www.coindesk.com/arc/outboundfeeds/rss/",
    "https://cointelegraph.com/rss",
)
# Requests per minute and month. CoinGecko: pricing page and rate-limit documentation of 2025 and
# 2026, the lower figure of the two; CoinPaprika: its OpenAPI document 1.7.10. All can be replaced.
RATES = {
    "coingecko:public": (10, None),
    "coingecko:demo": (30, 10_000),
    "coingecko:pro": (250, None),
    "coinpaprika:free": (60, 20_000),
    "coinpaprika:paid": (600, None),
    "rss": (60, None),
}
CONTRACT_MODES = ("evolve", "freeze", "discard_row", "discard_value")


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """What an operator can say about one source; what a source does not use stays at its default.

    Attributes:
        name: The source's name, as in the registry.
        schedule: When beat starts it.
        rate_per_minute: Calls per minute over all workers; None for a source without calls.
        monthly_budget: Calls per calendar month (UTC); None for no limit.
        base_url: Where the vendor's API begins, without a trailing slash.
        api_key: The vendor's key, empty for none.
        plan: The vendor's plan, which picks host, header and limits.
        auth_scheme: Word before the key in ``Authorization``; CoinPaprika's own pages disagree.
        max_coins: Stop after so many coins; None for all.
        path: A file or directory.
        urls: Feed addresses.
        contract_mode: How strictly the accepted shape of its items is meant; see
            :class:`tasks.domain.contracts.ContractMode`.
        rules: What its records must satisfy beyond what every record must.
    """

    name: str
    schedule: Schedule
    rate_per_minute: int | None = None
    monthly_budget: int | None = None
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    plan: str = ""
    auth_scheme: str = ""
    max_coins: int | None = None
    path: str = ""
    urls: tuple[str, ...] = ()
    contract_mode: str = "evolve"
    rules: RecordRules = NO_RULES


@dataclass(frozen=True, kw_only=True)
class TimeLimits:
    """Seconds, each longer than the one before it; see docs/adr/0003.

    Attributes:
        http_s: One HTTP call with its short retries.
        statement_s: One SQL statement of a worker.
        soft_s: Celery's soft limit of a task.
        hard_s: Celery's hard limit of a task: the process is killed.
        lease_s: How long a claim holds without being finished.
        visibility_s: When the broker delivers an unacknowledged message again.
        sweep_s: How often the sweeper looks for work nobody holds.
    """

    http_s: int = 20
    statement_s: int = 25
    soft_s: int = 40
    hard_s: int = 50
    lease_s: int = 60
    visibility_s: int = 120
    sweep_s: int = 15

    def problems(self) -> Iterable[str]:
        """Say what breaks the order that keeps a piece of work in one pair of hands."""
        names = ("http_s", "statement_s", "soft_s", "hard_s", "lease_s", "visibility_s")
        for shorter, longer in pairwise(names):
            if getattr(self, shorter) >= getattr(self, longer):
                yield f"{_limit_name(shorter)} must be below {_limit_name(longer)}"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Secrets are left out of ``repr``.

    Attributes:
        database_url: SQLAlchemy URL with the psycopg2 driver.
        redis_url: Broker and coordination server.
        sources: Enabled sources, by name, in the order of ``SOURCES``.
        environment: ``development`` or ``production``.
        api_threads: Of one API process; each of its pools has a connection for each of them.
        api_drain_s: How long an API that is to stop says so before it takes no more requests.
        cors_origins: Whose pages may read the API from a browser; ``*`` is everybody's.
    """

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    sources: dict[str, SourceSettings]
    environment: str = "development"
    api_auth: str = "open"
    scheduler_token: str = field(default="", repr=False)
    api_rate_per_minute: int = 600
    api_threads: int = 4
    api_drain_s: int = 5
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: int = 0
    log_level: str = "INFO"
    log_format: str = "json"
    retention_raw_days: int = 30
    retention_history_days: int = 730
    alert_webhook_url: str = field(default="", repr=False)
    alert_webhook_secret: str = field(default="", repr=False)
    otel_endpoint: str = ""
    sentry_dsn: str = field(default="", repr=False)
    limits: TimeLimits = field(default_factory=TimeLimits)
    failures: FailureInjection = field(default_factory=FailureInjection)

    def secrets(self) -> Iterable[str]:
        """Return every value that nobody may see."""
        yield from (self.scheduler_token, self.alert_webhook_secret, self.sentry_dsn)
        yield from (source.api_key for source in self.sources.values())
        for url in (self.database_url, self.redis_url):
            password = urlsplit(url).password or ""
            yield from (password, unquote(password))


def provide(values: Mapping[str, str], *, override: bool = True) -> None:
    """Set variables of this process and of those it starts, as if the operator had.

    Args:
        values: By name of the variable.
        override: False leaves alone what is set to something already.
    """
    for name, value in values.items():
        if override or not os.environ.get(name):
            os.environ[name] = value


def is_set(name: str) -> bool:
    """Tell whether the operator gave this setting a value."""
    return bool(os.environ.get(name))


def read_dotenv(path: Path) -> None:
    """Take variables that are not set from a file; nothing happens if there is none."""
    if path.is_file():
        Env().read_env(str(path), recurse=False, override=False)


def _provide_running() -> None:
    """Without any address, take those of the system that ``kasparro up`` runs in this directory.

    So that ``celery -A tasks.celery_app status`` finds the workers that one can see running.
    """
    if is_set("DATABASE_URL") or is_set("REDIS_URL"):
        return
    directory = Path(os.environ.get("KASPARRO_DATA_DIR", ".kasparro"))
    with contextlib.suppress(OSError, ValueError):
        provide(json.loads((directory / "environment.json").read_text()), override=False)


def load_settings(*, dotenv: Path | None = None) -> Settings:
    """Read the environment, and in development a ``.env`` file, whose values give way to it.

    Raises:
        ConfigurationError: With one sentence for every setting that is missing or wrong.
    """
    if dotenv is not None:
        read_dotenv(dotenv)
    _provide_running()
    env = Env(eager=False)
    problems: list[str] = []
    settings = _build(env, problems)
    try:
        env.seal()
    except EnvValidationError as error:
        listed_by_name = cast("Mapping[str, list[str]]", error.error_messages)
        for name, messages in listed_by_name.items():
            problems.extend(f"{name}: {message}" for message in messages)
    problems.extend(settings.limits.problems())
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigurationError(f"Settings are not valid:\n{listed}", problems=tuple(problems))
    return settings


def _build(env: Env, problems: list[str]) -> Settings:
    names = tuple(_canonical(name) for name in env.list("SOURCES", list(BUILTIN_SOURCES)) if name)
    api_auth = _choice(env, problems, "API_AUTH", ("open", "required", "off"))
    return Settings(
        database_url=_database_url(env.str("DATABASE_URL", ""), problems),
        redis_url=_redis_url(env.str("REDIS_URL", ""), problems),
        sources={name: _source(env, problems, name) for name in names},
        environment=_choice(env, problems, "ENVIRONMENT", ("development", "production")),
        api_auth=api_auth,
        scheduler_token=env.str("SCHEDULER_TOKEN", ""),
        api_rate_per_minute=_positive(env, problems, "API_RATE_PER_MINUTE", 600) or 600,
        api_threads=_positive(env, problems, "API_THREADS", 4) or 4,
        api_drain_s=_whole(env, problems, "API_DRAIN_S", 5),
        cors_origins=_origins(env, problems),
        trusted_proxies=_whole(env, problems, "TRUSTED_PROXIES", 0),
        log_level=_choice(env, problems, "LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
        log_format=_choice(env, problems, "LOG_FORMAT", ("json", "console")),
        retention_raw_days=_positive(env, problems, "RETENTION_RAW_DAYS", 30) or 30,
        retention_history_days=_positive(env, problems, "RETENTION_HISTORY_DAYS", 730) or 730,
        alert_webhook_url=env.str("ALERT_WEBHOOK_URL", ""),
        alert_webhook_secret=env.str("ALERT_WEBHOOK_SECRET", ""),
        otel_endpoint=env.str("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        sentry_dsn=env.str("SENTRY_DSN", ""),
        limits=TimeLimits(
            **{
                name: env.int(_limit_name(name), getattr(TimeLimits, name))
                for name in TimeLimits.__dataclass_fields__
            }
        ),
        failures=_failures(env, problems),
    )


def _limit_name(attribute: str) -> str:
    return "TIME_LIMIT_" + attribute.upper()


def _canonical(name: str) -> str:
    name = name.strip().lower()
    return {"rss_feed": "rss"}.get(name, name)


def _source(env: Env, problems: list[str], name: str) -> SourceSettings:
    prefix = name.upper()
    plan = _plan(env, problems, name)
    rate, budget = RATES.get(f"{name}:{plan}" if plan else name, (None, None))
    hosts = {"coingecko": COINGECKO_HOSTS, "coinpaprika": COINPAPRIKA_HOSTS}.get(name, {})
    max_coins = env.int(f"{prefix}_MAX_COINS", 1000 if plan == "public" else 0)
    return SourceSettings(
        name=name,
        schedule=_schedule(env, problems, f"{prefix}_SCHEDULE"),
        rate_per_minute=_positive(env, problems, f"{prefix}_RATE_PER_MINUTE", rate),
        monthly_budget=_positive(env, problems, f"{prefix}_MONTHLY_BUDGET", budget),
        base_url=_http_url(
            env.str(f"{prefix}_BASE_URL", hosts.get(plan, "")), f"{prefix}_BASE_URL", problems
        ),
        api_key=env.str(f"{prefix}_API_KEY", ""),
        plan=plan,
        auth_scheme=env.str(f"{prefix}_AUTH_SCHEME", ""),
        max_coins=max_coins if max_coins > 0 else None,
        path=env.str(f"{prefix}_PATH", "data/csv" if name == "csv" else ""),
        urls=_urls(env, problems, name),
        contract_mode=_choice(env, problems, f"{prefix}_CONTRACT_MODE", CONTRACT_MODES),
        rules=_rules(env, problems, prefix),
    )


def _rules(env: Env, problems: list[str], prefix: str) -> RecordRules:
    named: list[str] = env.list(f"{prefix}_REQUIRED_FIELDS", [])
    required = tuple(name.strip() for name in named)
    if unknown := set(required) - set(REQUIRABLE):
        known = ", ".join(REQUIRABLE)
        problems.append(f"{prefix}_REQUIRED_FIELDS: {sorted(unknown)} are not among {known}")
    return RecordRules(
        required=required,
        max_symbol_chars=_positive(env, problems, f"{prefix}_MAX_SYMBOL_CHARS", None),
        max_name_chars=_positive(env, problems, f"{prefix}_MAX_NAME_CHARS", None),
        max_price_usd=env.decimal(f"{prefix}_MAX_PRICE_USD", None),
        max_clock_skew_s=_positive(env, problems, f"{prefix}_MAX_CLOCK_SKEW_S", None),
    )


def _plan(env: Env, problems: list[str], name: str) -> str:
    key = env.str(f"{name.upper()}_API_KEY", "")
    if name == "coinpaprika":
        return "paid" if key else "free"
    if name != "coingecko":
        return ""
    plan = _choice(env, problems, "COINGECKO_PLAN", ("public", "demo", "pro"))
    if plan != "public" and not key:
        problems.append(f"COINGECKO_API_KEY: the plan {plan!r} needs a key")
    if plan == "public" and key:
        problems.append("COINGECKO_PLAN: a key is set; say whether it is a demo or a pro key")
    return plan


def _schedule(env: Env, problems: list[str], name: str) -> Schedule:
    text = env.str(name, DEFAULT_SCHEDULE)
    try:
        return parse_schedule(text)
    except ValueError as error:
        problems.append(f"{name}: {error}")
        return parse_schedule(DEFAULT_SCHEDULE)


def _urls(env: Env, problems: list[str], name: str) -> tuple[str, ...]:
    if name != "rss":
        return ()
    urls = [url.strip() for url in env.list("RSS_URLS", list(DEFAULT_FEEDS))]
    return tuple(_http_url(url, "RSS_URLS", problems) for url in urls if url)


def _choice(env: Env, problems: list[str], name: str, allowed: tuple[str, ...]) -> str:
    value = env.str(name, allowed[0])
    matches = [item for item in allowed if item.lower() == value.strip().lower()]
    if not matches:
        problems.append(f"{name}: {value!r} is not one of {', '.join(allowed)}")
        return allowed[0]
    return matches[0]


def _positive(env: Env, problems: list[str], name: str, default: int | None) -> int | None:
    value = env.int(name, default)
    if value is not None and value <= 0:
        problems.append(f"{name}: must be a whole number above 0")
        return default
    return value


def _whole(env: Env, problems: list[str], name: str, default: int) -> int:
    value: int = env.int(name, default)
    if value < 0:
        problems.append(f"{name}: must be a whole number, 0 or more")
        return default
    return value


def _origins(env: Env, problems: list[str]) -> tuple[str, ...]:
    listed: list[str] = env.list("API_CORS_ORIGINS", [])
    origins = tuple(origin.strip() for origin in listed if origin.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if origin not in {"*", f"{parts.scheme}://{parts.netloc}"}:
            problems.append(f"API_CORS_ORIGINS: {origin!r} is no origin like https://example.com")
    return origins


def _http_url(url: str, name: str, problems: list[str]) -> str:
    if url and urlsplit(url).scheme not in {"http", "https"}:
        problems.append(f"{name}: {url!r} does not begin with http:// or https://")
    return url.rstrip("/") if name.endswith("_BASE_URL") else url


def _database_url(url: str, problems: list[str]) -> str:
    scheme, separator, rest = url.partition("://")
    if not url:
        problems.append("DATABASE_URL: not set; for example postgresql://user@host/kasparro")
    elif scheme not in {"postgres", "postgresql", "postgresql+psycopg2"} or not separator:
        problems.append("DATABASE_URL: only postgresql:// addresses are understood")
    # SQLAlchemy 2.1 would load psycopg 3 for the bare form.
    return f"postgresql+psycopg2://{rest}"


def _redis_url(url: str, problems: list[str]) -> str:
    if not url:
        problems.append("REDIS_URL: not set; for example redis://host:6379/0")
    elif urlsplit(url).scheme not in {"redis", "rediss"}:
        problems.append("REDIS_URL: only redis:// and rediss:// addresses are understood")
    return url


def _failures(env: Env, problems: list[str]) -> FailureInjection:
    enabled = env.bool("ENABLE_FAILURE_INJECTION", env.bool("CHAOS_MODE", False))
    allowed = env.bool("ALLOW_FAILURE_INJECTION", False)
    production = env.str("ENVIRONMENT", "development").lower() == "production"
    if enabled and production and not allowed:
        problems.append(
            "ENABLE_FAILURE_INJECTION: refused in production unless ALLOW_FAILURE_INJECTION=true"
        )
    return FailureInjection(
        enabled=enabled,
        allowed=allowed or not production,
        probability=min(1.0, max(0.0, env.float("FAILURE_PROBABILITY", 1.0))),
        at_record=_positive(env, problems, "FAIL_AT_RECORD", None),
        type=_choice(env, problems, "FAILURE_TYPE", failpoints.TYPES),
        point=_choice(env, problems, "FAILURE_POINT", ("", *failpoints.NAMES)),
        seed=env.int("FAILURE_SEED", None),
    )
