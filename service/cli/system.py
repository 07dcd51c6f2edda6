"""Everything that one start runs, in the order in which it is started."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from service.cli import command_lines, embedded
from service.cli.data_directory import DataDirectory
from service.cli.embedded import postgres, valkey
from service.cli.programs import Child, Server
from service.cli.supervisor import Supervisor
from tasks.core.errors import ConfigurationError

_WORKER_PATIENCE_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to start.

    Attributes:
        demo: Against the simulator, in a database of its own.
        port: Of the API, on the loopback interface.
        workers: Processes of the Celery worker.
    """

    directory: DataDirectory
    demo: bool = False
    flower: bool = False
    flower_port: int = 5555
    port: int = 8000
    workers: int = 2

    @property
    def database(self) -> str:
        """Name of the embedded database: simulated prices never mix with real ones."""
        return "kasparro_demo" if self.demo else "kasparro"

    @property
    def broker_number(self) -> int:
        """Number of the embedded Valkey's database, for the same reason."""
        return 1 if self.demo else 0

    def check(self) -> None:
        """Refuse a start that cannot succeed.

        Raises:
            ConfigurationError: If a port is taken or an extra is missing.
        """
        self._check_port(self.port, "choose another one with --port")
        if self.flower:
            if find_spec("flower") is None:
                raise ConfigurationError(
                    "Install the extra 'flower': pip install 'kasparro[flower]'"
                )
            self._check_port(self.flower_port, "choose another one with --flower-port")

    def _check_port(self, port: int, otherwise: str) -> None:
        if valkey.free_port(port) is None:
            raise ConfigurationError(
                f"Port {port} of 127.0.0.1 is taken by another program: stop it, or {otherwise}."
            )


def start_servers(plan: Plan, supervisor: Supervisor, missing: Collection[str]) -> dict[str, str]:
    """Start an embedded server for each address that is missing.

    Returns:
        The addresses, by the name of the setting.
    """
    given: dict[str, str] = {}
    directory = plan.directory
    if "REDIS_URL" in missing:
        supervisor.start(_valkey(directory))
        url = embedded.start_valkey(directory.valkey)
        given["REDIS_URL"] = f"{url.rpartition('/')[0]}/{plan.broker_number}"
    if "DATABASE_URL" in missing:
        supervisor.start(_postgres(directory))
        url = embedded.start_postgres(directory.postgres)
        given["DATABASE_URL"] = postgres.create_database(url, plan.database)
    return given


def _valkey(directory: DataDirectory) -> Server:
    return Server(
        name="valkey",
        log=directory.valkey / "log",
        start_up=partial(embedded.start_valkey, directory.valkey),
        lives=partial(valkey.lives, directory.valkey),
        shut_down=partial(embedded.stop_valkey, directory.valkey),
    )


def _postgres(directory: DataDirectory) -> Server:
    return Server(
        name="postgres",
        log=postgres.log_of(directory.postgres),
        start_up=partial(embedded.start_postgres, directory.postgres),
        lives=partial(postgres.lives, directory.postgres),
        shut_down=partial(embedded.stop_postgres, directory.postgres),
    )


def simulator(plan: Plan, port: int) -> Child:
    """Return the simulated vendors as a program."""
    arguments = ("simulator", "--port", str(port), "--csv", str(csv_directory(plan)))
    return _child(plan, "simulator", command_lines.own(*arguments))


def csv_directory(plan: Plan) -> Path:
    """Return where the simulator writes its CSV files."""
    return (plan.directory.root / "csv").absolute()


def programs(plan: Plan) -> list[Child]:
    """Return our own programs, the API first, so that it can be looked at while data arrives."""
    worker = command_lines.worker(
        queues=command_lines.QUEUES, concurrency=plan.workers, name=plan.database
    )
    schedule = plan.directory.root / f"celerybeat-{plan.database}"
    made = [
        _child(plan, "api", command_lines.api(host="127.0.0.1", port=plan.port)),
        _child(plan, "worker", worker, patience_s=_WORKER_PATIENCE_S),
        _child(plan, "beat", command_lines.beat(schedule=schedule)),
    ]
    if plan.flower:
        line = command_lines.flower(host="127.0.0.1", port=plan.flower_port)
        made.append(_child(plan, "flower", line))
    return made


def _child(plan: Plan, name: str, line: tuple[str, ...], *, patience_s: float = 10.0) -> Child:
    return Child(
        name=name,
        command=line,
        log=plan.directory.logs / f"{name}.log",
        patience_s=patience_s,
    )
