"""What ``doctor`` looks at. Each check is a function; one that fails never hides the others."""

import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import redis
import requests

from service.cli import connecting, migrating
from service.cli.source_rows import reads
from tasks.coordination import workers
from tasks.coordination.redis_client import create_redis_client
from tasks.core.errors import KasparroError
from tasks.core.settings import Settings, SourceSettings

_LOWEST_PYTHON = (3, 11)
_TIMEOUT_S = 5
_UP = "Start it, for example with `kasparro up`."


class Check(NamedTuple):
    """The outcome of one look.

    Attributes:
        found: What is the case.
        advice: What to do; empty if all is well.
    """

    name: str
    found: str
    advice: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is to be done."""
        return not self.advice


def examine(data_dir: Path) -> list[Check]:
    """Look at everything; what needs settings is left out when these are wrong."""
    found = [_python()]
    try:
        settings = connecting.settings_of(data_dir)
    except KasparroError as error:
        return [*found, Check("settings", str(error), "Mend the environment or .env.")]
    found.append(Check("settings", f"{len(settings.sources)} sources enabled"))
    looks: list[Callable[[Settings], Check]] = [_database, _broker, _workers]
    return [*found, *(look(settings) for look in looks), *_sources(settings)]


def _python() -> Check:
    ok = sys.version_info >= _LOWEST_PYTHON
    return Check("python", platform.python_version(), "" if ok else "Install Python 3.11.")


def _database(settings: Settings) -> Check:
    try:
        revisions = migrating.revisions(settings.database_url)
    except KasparroError as error:
        return Check("database", str(error), f"Check DATABASE_URL. {_UP}")
    if revisions.agree:
        return Check("database", f"answers, schema {revisions.current}")
    found = f"answers, schema {revisions.current} instead of {revisions.head}"
    return Check("database", found, "Run `kasparro db upgrade`.")


def _broker(settings: Settings) -> Check:
    try:
        with closing(create_redis_client(settings.redis_url)) as client:
            policy = str(client.config_get("maxmemory-policy")["maxmemory-policy"])
    except redis.ResponseError:
        return Check("broker", "answers; it does not tell its maxmemory-policy")
    except (redis.RedisError, KasparroError) as error:
        return Check("broker", str(error), f"Check REDIS_URL. {_UP}")
    if policy == "noeviction":
        return Check("broker", "answers, noeviction")
    advice = "Set maxmemory-policy to noeviction, or messages are lost when it is full."
    return Check("broker", f"answers, but evicts ({policy})", advice)


def _workers(settings: Settings) -> Check:
    try:
        with closing(create_redis_client(settings.redis_url)) as client:
            count = workers.count_seen(client)
    except KasparroError as error:
        return Check("workers", str(error), "Mend the broker first.")
    advice = "" if count else "Start one: `celery -A tasks.celery_app worker`, or `kasparro up`."
    return Check("workers", f"{count} seen in the last minute", advice)


def _sources(settings: Settings) -> Iterator[Check]:
    for source in settings.sources.values():
        addresses = source.urls or ((source.base_url,) if source.base_url else ())
        if not addresses:
            yield _path(source)
        for address in addresses:
            yield _address(source.name, address)


def _path(source: SourceSettings) -> Check:
    place = Path(reads(source))
    ok = place.exists()
    advice = "" if ok else f"Put files there, or set {source.name.upper()}_PATH."
    return Check(f"source {source.name}", f"{place} {'exists' if ok else 'is missing'}", advice)


def _address(name: str, address: str) -> Check:
    """Tell whether somebody answers; any status counts, for the vendor's root may be anything."""
    try:
        with requests.request("GET", address, timeout=_TIMEOUT_S, stream=True) as response:
            status = response.status_code
    except requests.RequestException as error:
        advice = "Check the network, a proxy, or the address."
        return Check(f"source {name}", f"{address}: {type(error).__name__}", advice)
    return Check(f"source {name}", f"{address} answers ({status})")
