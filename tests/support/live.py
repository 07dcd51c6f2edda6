"""The API as it is served: gunicorn over real servers, and a market the pipeline has loaded."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from email.message import Message
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from service import auth
from service.cli import command_lines
from service.cli.embedded.valkey import free_port
from tasks import bootstrap
from tasks.core.settings import Settings, load_settings
from tasks.simulator.config import SimulatorConfig
from tasks.simulator.csv_files import write_csv
from tasks.simulator.server import SimulatorServer, environment
from tasks.simulator.simulator import Simulator
from tests.support import processes
from tests.support.engine import ListPublisher, Workbench

_DEFECT = re.compile(r'Traceback|"request_failed"|Exception on')
_USUAL_RUNS = 7  # as many as a baseline needs
SIZES = {"coins": 400, "coingecko_coins": 300, "coinpaprika_tickers": 250, "csv_rows": 60}


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body, parse_float=Decimal)


@dataclass(frozen=True)
class Live:
    """An API that listens.

    Attributes:
        port: On the loopback interface.
        settings: Of the process.
        process: gunicorn's arbiter.
        log: What it and its workers said.
    """

    port: int
    settings: Settings
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def opened(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> Iterator[HTTPResponse]:
        """Yield the answer, its body not read yet; ``X_API_Key`` is the header ``X-API-Key``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, body, named)
            yield connection.getresponse()

    def ask(self, path: str, *args: Any, **headers: str) -> Answer:
        """Return the whole answer; arguments as for :meth:`opened`."""
        with self.opened(path, *args, **headers) as response:
            return Answer(response.status, response.headers, response.read())

    def key(self, *scopes: str) -> str:
        """Return a new key."""
        engine = create_engine(self.settings.database_url, poolclass=NullPool)
        with Session(engine) as session, session.begin():
            return auth.create_key(session, "test", scopes)


@contextmanager
def settings_of(environment: Mapping[str, str]) -> Iterator[Settings]:
    """Yield the settings that a process with this environment has."""
    with patch.dict(os.environ, environment):
        yield load_settings()


@contextmanager
def filled(servers: Mapping[str, str], directory: Path) -> Iterator[dict[str, str]]:
    """Run every source against a simulated market; yield the environment of the system."""
    csv = directory / "csv"
    server = SimulatorServer(("127.0.0.1", 0), Simulator(SimulatorConfig(**SIZES, moving=False)))
    with server as running:
        write_csv(running.simulator.market, csv, rows=SIZES["csv_rows"])
        whole = {**servers, **environment(running.url, str(csv))}
        with settings_of(whole) as settings, _bench(settings) as bench:
            for source in settings.sources:
                assert bench.status(bench.run(source)) == "success"
            _misbehave(running.simulator, bench)
        yield whole


def _misbehave(simulator: Simulator, bench: Workbench) -> None:
    """Fill quarantine, drift log and anomalies by what the vendors send next."""
    for _ in range(_USUAL_RUNS):
        bench.run("coinpaprika")
    simulator.advance()
    simulator.fail("coinpaprika", "retype_field", field="symbol", page=1)
    simulator.fail("coingecko", "add_field", field="sentiment", value="good", times=None)
    for source in ("coinpaprika", "coingecko"):
        bench.run(source)
    simulator.clear()


@contextmanager
def _bench(settings: Settings) -> Iterator[Workbench]:
    publisher = ListPublisher()
    dependencies = replace(bootstrap.build(settings, role="worker"), publisher=publisher)
    yield Workbench(dependencies, publisher, dict(dependencies.connectors))
    for source in settings.sources:
        dependencies.http_client(source).close()
    dependencies.engine.dispose()
    dependencies.redis.close()


@contextmanager
def served(environment: Mapping[str, str], directory: Path, **more: str) -> Iterator[Live]:
    """Serve the API with this environment until the block ends."""
    port = free_port(0)
    log = directory / f"api-{port}.log"
    whole = {"API_DRAIN_S": "0", **environment, **more, "KASPARRO_DATA_DIR": "not-there"}
    arguments = list(command_lines.api(host="127.0.0.1", port=port)[1:])
    with settings_of(whole) as settings, processes.running(arguments, whole, log) as process:
        live = Live(port, settings, process, log)
        processes.wait_until(lambda: _is_up(live), timeout_s=30, what=f"the API is up, see {log}")
        yield live


def _is_up(live: Live) -> bool:
    if live.process.poll() is not None:
        raise AssertionError(f"The API ended:\n{live.log.read_text()[-4000:]}")
    try:
        return live.ask("/health/live").status == 200
    except ConnectionError:
        return False


def problems_in(log: Path) -> list[str]:
    """Return the lines of a log that speak of a defect of ours."""
    return [line for line in log.read_text().splitlines() if _DEFECT.search(line)]
