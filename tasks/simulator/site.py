"""Paths to answers: which dialect a path speaks, key checks, and pages rendered once per tick."""

import threading
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol
from urllib.parse import unquote

from tasks.simulator import coingecko, coinpaprika, feeds
from tasks.simulator.answers import Answer, Request, etag, refusal
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.market import Market

_CACHED_MAX = 2_000


class Dialect(Protocol):
    """A vendor's way of answering. Its state is what answers depend on besides request and tick."""

    @property
    def state(self) -> tuple[int, ...]:
        """Return a value that differs when answers do."""
        ...

    def answer(self, request: Request, tick: int) -> Answer:
        """Answer a path of this vendor."""
        ...


class _Mount(NamedTuple):
    source: str
    prefix: str
    dialect: Dialect
    headers: dict[str, str]


class Site:
    """All three vendors under one address."""

    def __init__(self, market: Market) -> None:
        """Take the market."""
        self._market = market
        self.coingecko = coingecko.CoinGecko(market)
        self._mounts = (
            _Mount("coingecko", coingecko.PREFIX, self.coingecko, coingecko.HEADERS),
            _Mount(
                "coinpaprika", coinpaprika.PREFIX, coinpaprika.CoinPaprika(market),
                coinpaprika.HEADERS,
            ),
            _Mount("rss", feeds.PREFIX, feeds.Feeds(market), feeds.HEADERS),
        )  # fmt: skip
        self._lock = threading.Lock()
        self._tick = 0
        self._cache: dict[tuple[object, ...], Answer] = {}

    def request(self, path: str, query: dict[str, str], headers: dict[str, str]) -> Request | None:
        """Tell whose a call is; None when it is nobody's."""
        mount = next((m for m in self._mounts if path.startswith(m.prefix + "/")), None)
        if mount is None:
            return None
        page = query.get("page", "1")
        return Request(
            source=mount.source,
            path=unquote(path),
            query=query,
            headers=headers,
            page=int(page) if page.isdecimal() else 1,
        )

    def answer(self, request: Request) -> Answer:
        """Answer a call, from the cache when it was answered before on this tick."""
        refused = _key_refusal(request, self._market.config)
        if refused is not None:
            return refused
        mount = next(m for m in self._mounts if m.source == request.source)
        tick = self._market.timeline.tick()
        query = tuple(sorted(request.query.items()))
        key = (request.path, query, mount.dialect.state)
        # One at a time: a second request for the same page waits for the first one's bytes.
        with self._lock:
            self._forget(tick)
            answer = self._cache.get(key)
            if answer is None:
                answer = mount.dialect.answer(request, tick)
                answer = replace(answer, headers={**mount.headers, **answer.headers})
                answer = tagged(answer)
                self._cache[key] = answer
        return answer

    def _forget(self, tick: int) -> None:
        if tick != self._tick or len(self._cache) >= _CACHED_MAX:
            self._cache.clear()
            self._tick = tick


def tagged(answer: Answer) -> Answer:
    """Put the ETag of its body on a good answer."""
    if answer.status != 200:  # noqa: PLR2004 - the one status whose body is worth a tag
        return answer
    return replace(answer, headers={**answer.headers, "ETag": etag(answer.body)})


def conditional(request: Request, answer: Answer) -> Answer:
    """Answer 304 where the caller has these bytes already."""
    tag = answer.headers.get("ETag")
    if tag is None or not _has_it(request, tag, answer.headers.get("Last-Modified", "")):
        return answer
    headers = {n: v for n, v in answer.headers.items() if n != "Content-Type"}
    return replace(answer, status=304, body=b"", headers=headers)


def _has_it(request: Request, tag: str, modified: str) -> bool:
    known = request.headers.get("if-none-match")
    if known is not None:  # RFC 9110: it takes precedence over the date
        return tag in {part.strip() for part in known.split(",")} or known == "*"
    since = request.headers.get("if-modified-since")
    if since is None or not modified:
        return False
    try:
        return parsedate_to_datetime(since) >= parsedate_to_datetime(modified)
    except ValueError:  # RFC 9110: a date that cannot be read is ignored
        return False


def _key_refusal(request: Request, config: SimulatorConfig) -> Answer | None:
    if request.source == "coinpaprika" and config.coinpaprika_api_key:
        right = request.headers.get("authorization") == config.coinpaprika_api_key
        return None if right else refusal("coinpaprika", 403)
    if request.source != "coingecko" or config.coingecko_plan == "public":
        return None
    plan, other = config.coingecko_plan, "demo" if config.coingecko_plan == "pro" else "pro"
    if _gecko_key(request, plan) == config.coingecko_api_key:
        return None
    if _gecko_key(request, other) is not None:
        return refusal(
            "coingecko", 400, f"{other}_key_on_{'public' if plan == 'demo' else 'pro'}_host"
        )
    return refusal("coingecko", 401)


def _gecko_key(request: Request, plan: str) -> str | None:
    header = request.headers.get(f"x-cg-{plan}-api-key")
    return header if header is not None else request.query.get(f"x_cg_{plan}_api_key")
