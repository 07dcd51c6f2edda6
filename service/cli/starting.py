"""What ``up`` and ``demo`` do: bring everything up, run every source once, stay or stop."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from uuid import UUID

from rich.console import Console

from service.cli import demo_key, migrating, probes, run_views, system, triggering
from service.cli.connecting import DOTENV, log_to_stderr
from service.cli.embedded import valkey
from service.cli.entry import NOT_ALL_WELL
from service.cli.output import say
from service.cli.supervisor import Supervisor
from service.cli.system import Plan
from service.cli.triggering import RunRow
from tasks import bootstrap
from tasks.core import settings as settings_module
from tasks.core.errors import UnavailableError
from tasks.core.settings import Settings, load_settings
from tasks.pipeline.dependencies import Dependencies

_API_START_S = 60.0
# A vendor that is away is tried again for minutes; where to look must be told before.
_SHOWN_S = 60.0
_INTERRUPTED = 130
# Only to check the other settings before a server is started.
_TO_COME = {"DATABASE_URL": "postgresql://to-come/", "REDIS_URL": "redis://to-come/"}


def run_system(plan: Plan, *, once: bool) -> int:
    """Run everything until the operator asks for an end, or with ``once`` until the runs end.

    Returns:
        The exit code: with ``once`` 0 only if every run succeeded.

    Raises:
        KasparroError: If it cannot be started; nothing of it is left running.
    """
    console = Console()
    code = _INTERRUPTED if once else 0
    with plan.directory.held():
        supervisor = Supervisor(plan.directory, say)
        with supervisor.running(), _forgotten_afterwards(plan):
            dependencies = _bring_up(plan, supervisor)
            patience_s = None if once else _SHOWN_S
            wait = partial(supervisor.wait_until, at_most_s=patience_s)
            rows = _run_every_source(dependencies, console, wait=wait)
            console.print(run_views.summary(rows), style="bold", highlight=False, soft_wrap=True)
            if once:
                code = 0 if all(row.status == "success" for row in rows) else NOT_ALL_WELL
            else:
                _show_where_to_look(plan, dependencies, console)
                supervisor.wait_until(lambda: False)
    return code


@contextmanager
def _forgotten_afterwards(plan: Plan) -> Iterator[None]:
    try:
        yield
    finally:
        plan.directory.keep_environment({})


def _bring_up(plan: Plan, supervisor: Supervisor) -> Dependencies:
    log_to_stderr()
    plan.check()
    port = valkey.free_port(0) or 0
    given = _simulated(plan, port) if plan.demo else {}
    settings_module.provide(given)
    if not plan.demo:
        settings_module.read_dotenv(DOTENV)
    missing = [name for name in _TO_COME if not settings_module.is_set(name)]
    _check_settings(missing)
    say("Starting the servers ...")
    given |= system.start_servers(plan, supervisor, missing)
    settings_module.provide(given)
    plan.directory.keep_environment(given)
    settings = load_settings()
    migrating.upgrade(settings.database_url)
    if plan.demo:
        supervisor.start(system.simulator(plan, port))
    return _start_programs(plan, supervisor, settings)


def _simulated(plan: Plan, port: int) -> dict[str, str]:
    from tasks.simulator.server import environment  # noqa: PLC0415 - only the demo needs it

    return environment(f"http://127.0.0.1:{port}", str(system.csv_directory(plan)))


def _check_settings(missing: Sequence[str]) -> None:
    """Find what is wrong with the settings before anything is started."""
    settings_module.provide({name: _TO_COME[name] for name in missing})
    bootstrap.build(load_settings(), role="cli").engine.dispose()


def _start_programs(plan: Plan, supervisor: Supervisor, settings: Settings) -> Dependencies:
    say("Starting API, worker and beat ...")
    # Nothing balances over a local start, so Ctrl-C need not wait for anybody to notice.
    settings_module.provide({"API_DRAIN_S": "0"}, override=False)
    for program in system.programs(plan):
        supervisor.start(program)
    if not supervisor.wait_until(
        lambda: probes.status(plan.port, "/health/live") == probes.OK, at_most_s=_API_START_S
    ):
        raise UnavailableError(
            f"The API does not answer; its output is in {plan.directory.logs / 'api.log'}."
        )
    return bootstrap.build(settings, role="cli")


def _run_every_source(
    dependencies: Dependencies, console: Console, *, wait: Callable[[Callable[[], bool]], bool]
) -> list[RunRow]:
    started = triggering.start_runs(dependencies, dependencies.connectors)
    return watch(dependencies, [item.run_id for item in started], console, wait=wait)


def watch(
    dependencies: Dependencies,
    run_ids: Sequence[UUID],
    console: Console,
    *,
    wait: Callable[[Callable[[], bool]], bool],
) -> list[RunRow]:
    """Show runs until all are over.

    Args:
        dependencies: Of this process.
        run_ids: The runs.
        console: Where to show them.
        wait: Calls a condition until it holds, or gives up.

    Returns:
        Their last state.
    """
    latest: list[RunRow] = []

    def all_over() -> bool:
        try:
            latest[:] = triggering.rows(dependencies, run_ids)
        except UnavailableError:
            return False  # whoever keeps the database up is at it
        view.update(latest)
        return all(row.is_final for row in latest)

    with run_views.watching(console) as view:
        wait(all_over)
    return latest


def _show_where_to_look(plan: Plan, dependencies: Dependencies, console: Console) -> None:
    base = f"http://localhost:{plan.port}"
    key = demo_key.get(plan.directory, dependencies) if plan.demo else "KEY"
    lines = {
        "Dashboard": f"{base}/",
        "API docs": f"{base}/docs",
        "A price": f"curl -s '{base}/data?ticker=BTC'",
        "New runs": f"curl -X POST -H 'X-API-Key: {key}' {base}/etl/run",
        "Logs": str(plan.directory.logs),
    }
    if plan.flower:
        lines["Flower"] = f"http://localhost:{plan.flower_port}/"
    if not plan.demo:
        lines["A key"] = "kasparro keys create NAME --scopes run"
    for name, value in lines.items():
        console.print(f"  {name:<10} {value}", soft_wrap=True, highlight=False, markup=False)
    console.print("Ctrl-C stops everything.", highlight=False)
