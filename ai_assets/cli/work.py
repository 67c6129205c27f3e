"""`ai-assets work`: be a worker for the members' chains, in the foreground. Visible in Dagster as worker runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import click

from ai_assets.cli.context import Context

if TYPE_CHECKING:
    from dagster import DagsterInstance, ExecuteInProcessResult, JobDefinition

    from ai_assets.chains.worker_values import WorkerSummary

SIGNAL_S = 0.2
"""How long a signal may wait before it is heard."""


@click.command()
@click.option(
    "--until-empty", is_flag=True, help="End when no member's event is pending, waiting or running anywhere."
)
@click.pass_obj
def work(context: Context, until_empty: bool) -> int:
    """Claim members' events and run their chains until Ctrl-C. Several may run.

    Each stretch of work is an `event_worker` run in Dagster; one in which a step failed ends red, and the next
    begins. Ctrl-C or SIGTERM ends chains or hands them back, within 10 s.
    """
    stop = threading.Event()
    # from the first moment on: also while Dagster loads, and between two stretches
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    click.echo("working; Ctrl-C ends it", err=True)
    for summary in stretches(context, stop, until_empty=until_empty):
        if summary.statuses or summary.stopped or until_empty:
            click.echo(summary.sentence(), err=True)
    return 0


def stretches(context: Context, stop: threading.Event, *, until_empty: bool) -> Iterator[WorkerSummary]:
    """Be a worker, run after run in this process, until `stop` is set or, with `until_empty`, all is done.

    Raises ConfigurationError where the key or an app id is missing: before anything is claimed.
    """
    context.settings.require_dashscope_key()
    context.engine(1).dispose()
    instance = context.dagster_instance()
    _require_apps(context)
    from ai_assets.definitions import build_definitions
    from ai_assets.event_worker import JOB_NAME

    worker_job = build_definitions().resolve_job_def(JOB_NAME)
    while not stop.is_set():
        summary = _one_run(instance, worker_job, stop, until_empty=until_empty)
        yield summary
        if summary.stopped or (until_empty and summary.emptied):
            return


def _require_apps(context: Context) -> None:
    from ai_assets.apps.registry import APPS, MEMBER_APPS, PAIR_APPS

    settings = context.settings
    for name in (*MEMBER_APPS, *PAIR_APPS):
        APPS[name].app_id(settings)


def _one_run(
    instance: DagsterInstance, worker_job: JobDefinition, stop: threading.Event, *, until_empty: bool
) -> WorkerSummary:
    from ai_assets.chains.observer import stoppable, worker_observed

    summaries: list[WorkerSummary] = []

    def run() -> ExecuteInProcessResult:
        with worker_observed(summaries.append), stoppable(stop):
            return worker_job.execute_in_process(
                instance=instance,
                run_config={
                    "ops": {"work_inbox": {"config": {"until_empty": until_empty}}},
                    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                },
                raise_on_error=False,
            )

    # in a thread: in the main one Dagster would take the signals for itself, and make failures of them
    with ThreadPoolExecutor(1, thread_name_prefix="stretch") as pool:
        running = pool.submit(run)
        while not running.done():
            # not for good: a signal that the system gave to another thread waits until this one wakes
            wait([running], timeout=SIGNAL_S)
        result = running.result()
    if summaries:
        return summaries[-1]
    raise _failure(result)


def _failure(result: Any) -> Exception:
    from ai_assets.errors import AiAssetsError

    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.user_failure_data:
            return AiAssetsError(str(event.step_failure_data.user_failure_data.description))
    return AiAssetsError(f"the worker's run {result.run_id} failed; see it in the Dagster UI")
