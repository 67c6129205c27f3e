"""The job `replay`: the command `ai-assets jobs replay` from the UI, with the same filter, pace and words.

Not here: which jobs and at what pace (`ai_assets.chains.replaying`), what a replay is (`ai_assets.store.job_control`).
"""

# no `from __future__ import annotations` here: Dagster reads the annotations of decorated functions
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagster import Config, Failure, MetadataValue, OpExecutionContext, job, op
from pydantic import Field

from ai_assets.errors import AiAssetsError
from ai_assets.resources.database import DatabaseResource
from ai_assets.resources.run_config_types import Text, Whole, YesNo
from ai_assets.settings import load_settings

if TYPE_CHECKING:
    from ai_assets.chains.replaying import Tally
    from ai_assets.store.job_filter import JobFilter


class ReplayConfig(Config):
    """Which trigger jobs, and how. All conditions hold together; with none at all nothing is replayed."""

    ids: list[Whole] = Field([], description="Trigger job ids")
    states: list[Text] = Field(
        [], description="States; empty: failed, dead and partial. Ids alone: any that ended"
    )
    sites: list[Whole] = Field([], description="Site ids")
    event_types: list[Text] = Field([], description="Event types, such as consumption")
    member_id: Whole | None = Field(None, description="Member id")
    since: Text = Field(
        "", description="Came at or after: 2h (ago), 2026-01-31 or 2026-01-31T18:30 (AI_TIMEZONE)"
    )
    until: Text = Field("", description="Came before; written the same way")
    error: Text = Field("", description="A piece of its error's text")
    forced: YesNo = Field(False, description="New answers for every step, though nothing changed")
    rate: Text = Field("", description="At most so many: 30/min, 2/s, 600/h; empty: as fast as it goes")
    limit: Whole | None = Field(None, ge=1, description="The oldest so many; empty: all")
    dry_run: YesNo = Field(False, description="Say what would be replayed, and do nothing")


@op(description="Send ended trigger jobs' events again, each as a new job, oldest first.")
def replay_jobs(context: OpExecutionContext, config: ReplayConfig, database: DatabaseResource) -> None:
    """What came of each is in the log, the sums on the output; Failure where one could not be replayed."""
    # here: SQLAlchemy stays out of what the code location loads
    from ai_assets.chains import replaying
    from ai_assets.store.engine import reachable

    try:
        wanted, rate = _filter(config), replaying.per_minute(config.rate)
        engine = database.engine(pool_size=1)
        try:
            with reachable("replaying"):
                job_ids = replaying.chosen(engine, wanted, limit=config.limit)
                tally = replaying.Tally(len(job_ids))
                if config.dry_run:
                    context.log.info("%s would be replayed: %s", len(job_ids), job_ids[: replaying.MOST_TOLD])
                    context.add_output_metadata(
                        {
                            "would be replayed": MetadataValue.int(len(job_ids)),
                            "jobs": MetadataValue.json(job_ids),
                        }
                    )
                    return
                # a cancelled run ends between two transactions: what is replayed is replayed
                for one in replaying.replay_all(
                    job_ids, replaying.sender(engine, forced=config.forced), tally, rate=rate
                ):
                    context.log.info("%s", replaying.said(one))
        finally:
            engine.dispose()
    except AiAssetsError as error:
        raise Failure(str(error), allow_retries=False) from error
    context.add_output_metadata(_metadata(tally))
    if tally.not_done:
        raise Failure(f"{tally.not_done} could not be replayed: {tally.sentence()}", allow_retries=False)


def _filter(config: ReplayConfig) -> "JobFilter":
    from ai_assets.store.job_filter import job_filter

    return job_filter(
        now=datetime.now(UTC),
        zone=load_settings().zone,
        ids=config.ids,
        states=config.states,
        sites=config.sites,
        event_types=config.event_types,
        member_id=config.member_id,
        since=config.since,
        until=config.until,
        error=config.error,
    )


def _metadata(tally: "Tally") -> dict[str, MetadataValue]:
    return {
        "chosen": MetadataValue.int(tally.chosen),
        **{outcome.value: MetadataValue.int(count) for outcome, count in tally.outcomes.items()},
        "first jobs": MetadataValue.md("\n".join(f"- {line}" for line in tally.told) or "nothing to replay"),
        "new trigger jobs": MetadataValue.json(tally.replays),
    }


@job(description="Replay trigger jobs: those that failed, are dead or partial, or the ones you name.",
     tags={"dagster/max_retries": "0"})  # fmt: skip
def replay() -> None:
    """See replay_jobs."""
    replay_jobs()
