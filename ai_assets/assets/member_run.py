"""A run of the members' or the pairs' assets: the selected steps of each partition, partitions side by side.

Here: what both multi_assets do. Not here: the assets (`members`, `assistants`), a step (`ai_assets.chains`).
In each partition the order and the failure rule are the chain's: a step that fails stops no later one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dagster import AssetExecutionContext, Failure, MetadataValue, Output

from ai_assets.assets.batches import is_batch
from ai_assets.assets.checks import CheckLimits
from ai_assets.assets.failures import failures_table, what_happened
from ai_assets.assets.member_events import member_checks, member_events
from ai_assets.assets.outputs import made_outputs
from ai_assets.errors import AiAssetsError, InputError
from ai_assets.privacy.logs import describe, log_defect
from ai_assets.resources.runtime import runtime
from ai_assets.settings import load_settings

if TYPE_CHECKING:
    from ai_assets.assets.config import StepsConfig
    from ai_assets.chains.member_steps import About, MemberSteps
    from ai_assets.chains.outcome import StepResult
    from ai_assets.chains.runtime import Runtime
    from ai_assets.chains.summary import StepsSummary
    from ai_assets.resources.dashscope import DashScopeResource
    from ai_assets.resources.database import DatabaseResource
    from ai_assets.resources.guard import GuardResource

logger = logging.getLogger(__name__)

Resources = tuple["DatabaseResource", "DashScopeResource", "GuardResource"]


def run_partitions(
    context: AssetExecutionContext,
    config: StepsConfig,
    resources: Resources,
    *,
    about: Callable[[str], About],
    example: str,
) -> Iterator[Output[None]]:
    """Make the selected assets in each partition of the run; Failure with a summary where a step has no result.

    `about` reads a partition key; one that it refuses (InputError) fails alone. `example`: what a key looks like.
    Yields the outputs of the assets where nothing failed.
    """
    members, refused = _members(context, about, example)
    in_batch = is_batch(len(members) + len(refused), context.run.tags)
    try:
        with runtime(*resources, concurrency=config.concurrency) as run_on:
            summary = _make(context, config, run_on, members, in_batch=in_batch)
    except AiAssetsError as error:
        raise Failure(str(error), allow_retries=False) from error
    if summary.failures or refused:
        raise Failure(
            f"{summary.failed} of {summary.outcomes.total()} steps have no result"
            + (f", {len(refused)} partition keys are none" if refused else "")
            + f": {'; '.join([*what_happened(summary), *refused[:1]])}",
            metadata={"failed steps": MetadataValue.md(failures_table(summary.failures, refused))},
            allow_retries=False,
        )
    yield from made_outputs(context)


def _members(
    context: AssetExecutionContext, about: Callable[[str], About], example: str
) -> tuple[list[About], list[str]]:
    """Whom this run is about, and a line for each key that is none: people can add any key in the UI."""
    if not (context.has_partition_key or context.has_partition_key_range):
        raise Failure(f"no partition is chosen: choose some, such as {example}", allow_retries=False)
    members: list[About] = []
    refused: list[str] = []
    for key in context.partition_keys:
        try:
            members.append(about(key))
        except InputError as error:
            context.log.error("%s", error)
            refused.append(str(error))
    return members, refused


def _make(
    context: AssetExecutionContext,
    config: StepsConfig,
    run_on: Runtime,
    members: Sequence[About],
    *,
    in_batch: bool,
) -> StepsSummary:
    # here: SQLAlchemy stays out of what the code location loads
    from ai_assets.chains.member_steps import MemberSteps
    from ai_assets.chains.outcome import Trigger
    from ai_assets.chains.side_by_side import side_by_side
    from ai_assets.chains.summary import StepsSummary

    selected = steps_of({key.to_user_string() for key in context.selected_asset_keys})
    # App6 alone for one member without a note is an error; among others it has the outcome `no note`
    needs_note = selected == ["app6_note"] and not in_batch
    trigger = Trigger(trigger_type="batch" if in_batch else "manual", forced=config.forced)
    limits = CheckLimits.from_settings(load_settings())
    cancelled = threading.Event()
    summary = StepsSummary()

    def work(about: About, tell: Callable[[StepResult], None]) -> None:
        steps = MemberSteps(run_on, about, trigger, cancelled)
        problem = _problem(steps)
        for name in selected:
            if problem:
                tell(_failed(steps, name, problem))
            elif name == "app6_note" and not needs_note and not steps.may_have_note():
                tell(steps.without_note())
            else:
                tell(_step(steps, name))

    def report(_about: About, result: StepResult) -> None:
        # the prompts of a hundred thousand failures are not kept
        summary.add(replace(result, prompt="", references={}))
        _show(context, result, limits)
        if result.outcome.is_failure:
            context.log.error(
                "site %s, %s %s: %s", result.subject.site_id, result.app, result.target_id, result.message
            )

    side_by_side(
        members,
        work,
        width=min(config.concurrency or run_on.concurrency, max(1, len(members))),
        cancelled=cancelled,
        on_result=report,
    )
    context.log.info("%s; %d tokens", summary.sentence(), summary.tokens)
    return summary


def steps_of(selected: set[str]) -> list[str]:
    """The selected assets' steps in the chain's order. App8 sets the retention clues itself: one step for both.

    Raises ValueError for an asset that no chain makes: its run would end green and have made nothing.
    """
    from ai_assets.apps.registry import MEMBER_APPS, PAIR_APPS
    from ai_assets.chains.member_steps import RETENTION_CLUE

    order = [*MEMBER_APPS, *PAIR_APPS]
    if unknown := selected - {*order, RETENTION_CLUE}:
        raise ValueError(f"{', '.join(sorted(unknown))}: about neither a member nor a pair")
    if "app8_consolidation" not in selected:
        order[order.index("app8_consolidation")] = RETENTION_CLUE
    return [name for name in order if name in selected]


def _step(steps: MemberSteps, name: str) -> StepResult:
    from ai_assets.chains.member_steps import RETENTION_CLUE

    return steps.set_clues() if name == RETENTION_CLUE else steps.run(name)


def _problem(steps: MemberSteps) -> AiAssetsError | None:
    """Why nothing can be made for this subject; None where it can."""
    try:
        steps.check()
    except AiAssetsError as error:
        return error
    except Exception as error:  # noqa: BLE001
        # a defect must cost this subject only, and be seen
        log_defect(
            logger,
            error,
            "member %s of site %s: unexpected error",
            steps.about.member_id,
            steps.about.site_id,
        )
        return AiAssetsError(describe(error))
    return None


def _failed(steps: MemberSteps, name: str, problem: AiAssetsError) -> StepResult:
    from ai_assets.chains.outcome import Outcome, StepResult

    subject = steps.subject(name)
    member = str(subject.member_id)
    return StepResult(
        app=name,
        subject=subject,
        target_id=member if subject.assistant_id is None else f"{subject.assistant_id}_{member}",
        outcome=Outcome.FAILED,
        reason=problem.reason,
        message=str(problem),
    )


def _show(context: AssetExecutionContext, result: StepResult, limits: CheckLimits) -> None:
    try:
        if not result.outcome.is_failure:
            for _key, _partition, shown in member_events(result, trigger_job_id=None):
                context.log_event(shown)
        for evaluation in member_checks(result, limits):
            context.log_event(evaluation)
    except Exception as error:  # noqa: BLE001
        # the answer is in the cache: trouble with showing it is logged and fails no step (docs/behaviour.md, A step)
        log_defect(
            logger, error, "what was made of %s %s could not be recorded", result.app, result.target_id
        )
