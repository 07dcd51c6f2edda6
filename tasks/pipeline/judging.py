"""Judge completed runs: hold each against its source's own history.

A run is judged right after the transaction that completed it, in one of its own, so that a failure
to judge cannot fail the run; whatever was not judged then, the sweeper judges.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from tasks.core.errors import UnavailableError
from tasks.core.logging import get_logger
from tasks.domain import anomalies as rules
from tasks.domain.anomalies import Facts, Judgement
from tasks.domain.baselines import Point
from tasks.domain.runs import ASIDE
from tasks.pipeline.dependencies import Dependencies
from tasks.store import anomalies, checkpoints, database, judgements
from tasks.store.anomalies import PastRun
from tasks.store.tables import Run

_log = get_logger(__name__)


def judge(dependencies: Dependencies, run_id: UUID) -> None:
    """Judge a run, unless that was done, it has not completed, or somebody else is at it."""
    try:
        with dependencies.transaction() as session:
            run = judgements.take(session, run_id)
            if run is not None:
                _judge(dependencies, session, run)
    except UnavailableError as error:
        _log.warning("run_not_judged", run_id=str(run_id), reason=str(error))
    except Exception:  # noqa: BLE001
        # The edge: a finding is worth less than the run, and a fault here would come back with
        # every sweep.
        _log.exception("judging_failed", run_id=str(run_id))
        with dependencies.transaction() as session:
            judgements.note(session, run_id, None)


def judge_due(dependencies: Dependencies) -> int:
    """Judge the completed runs that nobody has judged, and return how many there were."""
    with dependencies.transaction() as session:
        waiting = judgements.waiting(session)
    for run_id in waiting:
        judge(dependencies, run_id)
    return len(waiting)


def _judge(dependencies: Dependencies, session: Session, run: Run) -> None:
    is_whole = run.resumed_run_id is None and run.trigger not in ASIDE
    if not is_whole or run.options.get("dry_run") or run.source not in dependencies.connectors:
        judgements.note(session, run.run_id, None)
        return
    facts = _facts(dependencies, session, run)
    past = anomalies.history(session, run)
    judgement = rules.judge(facts, _points(past))
    anomalies.resolve(
        session,
        run.source,
        judgement.judged - {rules.Key(found.rule, found.figure) for found in judgement.findings},
    )
    anomalies.record(
        session, run.source, judgement.findings, run_id=run.run_id, alerts=_wants(dependencies)
    )
    judgements.note(session, run.run_id, _summary(facts, judgement))
    for found in judgement.findings:
        _log.warning("run_remarkable", run_id=str(run.run_id), rule=found.rule, why=found.reason)


def _wants(dependencies: Dependencies) -> bool:
    return bool(dependencies.settings.alert_webhook_url)


def _facts(dependencies: Dependencies, session: Session, run: Run) -> Facts:
    spec = dependencies.connector(run.source).spec
    finished_at = run.finished_at or database.now(session)
    return Facts(
        started_at=run.started_at or finished_at,
        finished_at=finished_at,
        figures=figures(run),
        page_items=judgements.page_items(session, run.run_id),
        most_items=dependencies.settings.sources[run.source].max_coins,
        newest_at=judgements.newest_change(session, run.run_id),
        fresh_for_s=spec.fresh_for_s,
        incremental=spec.incremental,
        scheduled=run.trigger == "schedule",
        observes_now=spec.kind == "quotes" and spec.crosses_network,
    )


def figures(run: Run) -> dict[str, float]:
    """Return the figures of a completed run that its source's history knows, too."""
    seen = run.records_processed + run.records_failed + run.records_unchanged
    found: dict[str, float] = {
        "records_extracted": run.records_extracted,
        "records_processed": run.records_processed,
    }
    if run.started_at is not None and run.finished_at is not None:
        found["duration_seconds"] = (run.finished_at - run.started_at).total_seconds()
    if seen:
        found["failed_share"] = run.records_failed / seen
        found["unchanged_share"] = run.records_unchanged / seen
    return found


def _points(past: Sequence[PastRun]) -> Mapping[str, list[Point]]:
    """Return the earlier figures by name.

    Those that hang on the schedule's interval come from scheduled runs only.
    """
    points: dict[str, list[Point]] = {}
    for run, flagged in past:
        for figure, value in figures(run).items():
            if figure in rules.OF_THE_INTERVAL and run.trigger != "schedule":
                continue
            at = run.started_at or run.queued_at
            points.setdefault(figure, []).append(Point(at, value, flagged))
    return points


def _summary(facts: Facts, judgement: Judgement) -> dict[str, Any]:
    return {
        "baselines": {
            figure: {
                "value": round(facts.figures[figure], 6),
                "median": round(baseline.median, 6),
                "low": round(baseline.low, 6),
                "high": round(baseline.high, 6),
                "score": round(baseline.score(facts.figures[figure]), 2),
                "runs": baseline.points,
            }
            for figure, baseline in judgement.baselines.items()
        },
        "insufficient_history": judgement.insufficient,
    }


def watch_freshness(dependencies: Dependencies) -> None:
    """Find sources that have not been brought up to date for too long, and those that have again.

    A paused source is left alone, and so is one that never had a run that completed.
    """
    now = dependencies.clock.now()
    for name, connector in dependencies.connectors.items():
        with dependencies.transaction() as session:
            last = checkpoints.last_success_at(session, name)
            if last is None or checkpoints.is_paused(session, name):
                continue
            finding = rules.freshness(
                last,
                now=now,
                schedule=dependencies.settings.sources[name].schedule,
                fresh_for_s=connector.spec.fresh_for_s,
            )
            if finding is None:
                anomalies.resolve(session, name, [rules.FRESHNESS])
            else:
                anomalies.record(session, name, [finding], alerts=_wants(dependencies))
