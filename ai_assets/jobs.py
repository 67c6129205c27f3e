"""Jobs: what can be run as a whole. Not here: when (schedules, sensors), assets."""

# no `from __future__ import annotations` here: Dagster reads the annotations of decorated functions
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetSelection,
    Config,
    Failure,
    MetadataValue,
    OpExecutionContext,
    define_asset_job,
    job,
    op,
)
from pydantic import Field

from ai_assets.assets.assistants import assistants
from ai_assets.assets.finance import app2_finance
from ai_assets.assets.members import members
from ai_assets.errors import AiAssetsError
from ai_assets.resources.database import DatabaseResource
from ai_assets.resources.guard import GuardResource
from ai_assets.resources.run_config_types import YesNo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from ai_assets.housekeeping import Report
    from ai_assets.warehouse.sites import Site

# the inbox retries, not Dagster: a failed cell ends its job's matter
NO_RETRIES = {"dagster/max_retries": "0"}

site_insights = define_asset_job(
    "site_insights",
    selection=AssetSelection.assets(app2_finance),
    description="Finance insights: one cell, a box of cells, or a site's 72.",
    tags=NO_RETRIES,
)

member_insights = define_asset_job(
    "member_insights",
    selection=AssetSelection.assets(members),
    description="All that is made about a member, in the chain's order: one member, a range, or all.",
    tags=NO_RETRIES,
)

assistant_insights = define_asset_job(
    "assistant_insights",
    selection=AssetSelection.assets(assistants),
    description="All that is made about an assistant and a member, in the chain's order.",
    tags=NO_RETRIES,
)


@op(description="Send a dws_completed event for each active site, with its newest batch.")
def send_prewarm_events(
    context: OpExecutionContext, database: DatabaseResource, guard: GuardResource
) -> None:
    """One event a site; what was made already is a duplicate and costs nothing. One site's trouble stops none.

    Where the newest batch was made and cells are missing or failed all the same, a manual trigger job is queued for
    these cells. Where the budgets do not suffice, it says so first, in the log and on the output.
    """
    # here: SQLAlchemy stays out of what the code location loads
    from ai_assets.store import inbox
    from ai_assets.store.engine import first_line, reachable
    from ai_assets.warehouse import sites

    jobs: dict[int, int] = {}
    failures: dict[int, str] = {}
    made: list[int] = []
    try:
        engine = database.engine(pool_size=1)
        with reachable("reading the active sites"), engine.connect() as connection:
            active = sites.active_sites(connection)
    except AiAssetsError as error:
        raise Failure(str(error), allow_retries=False) from error
    short = _shortfall(context, engine, guard, active)
    figures = _yesterday(context, engine)
    for line in short:
        context.log.warning(line)
    for site in active:
        try:
            with reachable("sending an event"), engine.begin() as connection:
                (fired,) = inbox.fire_all(connection, [inbox.Event("dws_completed", site.site_id)])
                jobs[site.site_id] = fired.id
                earlier = inbox.job(connection, fired.duplicate_of) if fired.duplicate_of else None
            if earlier is not None and earlier.status == "completed":
                made.append(site.site_id)
        except Exception as error:
            context.log.exception("site %s: no event could be sent", site.site_id)
            failures[site.site_id] = first_line(error)
    gaps = _fill_gaps(context, engine, made)
    engine.dispose()
    context.add_output_metadata(
        {
            "sites": MetadataValue.int(len(active)),
            "trigger jobs": MetadataValue.json({str(site): number for site, number in jobs.items()}),
            "cells queued again": MetadataValue.text(gaps),
            "forecast": MetadataValue.md("\n".join(f"- {line}" for line in short) or "the budgets suffice"),
            **figures,
        }
    )
    if failures:
        raise Failure(f"no event for sites {failures}", allow_retries=False)


def _fill_gaps(context: OpExecutionContext, engine: "Engine", sites: "Sequence[int]") -> str:
    """Queue the cells of these sites that have no answer, or whose last call failed; a line for people.

    Trouble with it is logged and stops nothing: the sites' events were sent.
    """
    from ai_assets.chains.filling import queue_missing_cells

    try:
        return f"{queue_missing_cells(engine, sites, queued_by=f'run:{context.run_id}')} trigger jobs"
    except Exception as error:
        context.log.exception("missing cells could not be queued")
        return f"could not be queued: {error}"


def _shortfall(
    context: OpExecutionContext, engine: "Engine", guard: GuardResource, sites: "Sequence[Site]"
) -> list[str]:
    """What an operator should know before these sites are made; a forecast that fails stops nothing."""
    from ai_assets.chains.forecast_lines import shortfall
    from ai_assets.dashscope.price_file import read_prices
    from ai_assets.guard.forecast import Terms
    from ai_assets.settings import load_settings

    try:
        settings = load_settings()
        terms = Terms.of(guard.limits(), read_prices(settings.prices_file), settings.concurrency)
        return shortfall(engine, guard.limits(), terms, sites)
    except Exception as error:
        # an unexpected one too: it is about words, and the events must go
        context.log.exception("no forecast could be made")
        return [f"no forecast could be made: {error}"]


def _yesterday(context: OpExecutionContext, engine: "Engine") -> dict[str, MetadataValue[Any]]:
    """The head of the report of the day before, in AI_TIMEZONE. What goes wrong with it is logged and fails nothing."""
    from ai_assets.report.headline import headline
    from ai_assets.settings import load_settings
    from ai_assets.store.day_figures import day_figures

    try:
        zone = load_settings().zone
        day = datetime.now(UTC).astimezone(zone).date() - timedelta(days=1)
        numbers = headline(day_figures(engine, day, zone))
    except Exception:
        context.log.exception("the figures of the day before could not be added up")
        return {}
    values = {
        f"yesterday: {name}": MetadataValue.int(number)
        if isinstance(number, int)
        else MetadataValue.float(number)
        for name, number in numbers.items()
    }
    return {"day of the figures": MetadataValue.text(day.isoformat()), **values}


@job(
    description="Every day: an event for each active site. The dws_completed sensor starts their runs.",
    tags=NO_RETRIES,
)
def daily_prewarm() -> None:
    """See send_prewarm_events."""
    send_prewarm_events()


class HousekeepingConfig(Config):
    """How this housekeeping goes."""

    dry_run: YesNo = Field(False, description="Say what would go, and do nothing")


@op(description="Settle leases whose holders died; let go of what is old and not in use.")
def clean_up(context: OpExecutionContext, config: HousekeepingConfig, database: DatabaseResource) -> None:
    """What went, and what stayed for it is in use, is on the output; Failure where a part failed."""
    from ai_assets.housekeeping import keep_house
    from ai_assets.settings import load_settings

    try:
        settings = load_settings()
        engine = database.engine(pool_size=1)
    except AiAssetsError as error:
        raise Failure(str(error), allow_retries=False) from error
    report = keep_house(engine, context.instance, settings, dry_run=config.dry_run, tell=context.log.info)
    context.add_output_metadata({**_housekeeping_metadata(report), **_yesterday(context, engine)})
    engine.dispose()
    if report.errors:
        said = "; ".join(f"{what}: {error}" for what, error in report.errors.items())
        raise Failure(f"a part failed, the others are done: {said}", allow_retries=False)


def _housekeeping_metadata(report: "Report") -> dict[str, MetadataValue[Any]]:
    rows = "\n".join(
        f"| {part.what} | {part.old} | {part.in_use} | {part.removed} | {part.setting}: {part.days} | {part.note} |"
        for part in report.parts
    )
    went = "would go" if report.dry_run else "gone"
    return {
        **{what: MetadataValue.int(count) for what, count in report.swept.items()},
        **{f"{part.what} {went}": MetadataValue.int(part.removed) for part in report.parts},
        "retention": MetadataValue.md(
            f"| what | old | in use | {went} | days | |\n|---|---|---|---|---|---|\n{rows}"
        ),
        "report": MetadataValue.json(report.as_plain()),
    }


@job(description="Every night: upkeep of the guard's state, and retention.", tags=NO_RETRIES)
def housekeeping() -> None:
    """See clean_up."""
    clean_up()


JOBS: list[Any] = [site_insights, member_insights, assistant_insights, daily_prewarm, housekeeping]
