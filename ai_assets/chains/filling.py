"""Queue the work of a fill: read its subjects, plan the jobs, put them into the inbox in batches.

Not here: what may be asked for (`fill_request`), which jobs that gives (`fill_plan`), running them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ai_assets.apps.registry import APPS, FINANCE_APPS
from ai_assets.chains.fill_plan import FillPlan, FillSubjects, plan_jobs
from ai_assets.chains.fill_request import fill_request
from ai_assets.errors import InputError
from ai_assets.store import manual_jobs
from ai_assets.store.answer_state import answered_targets, known_pairs
from ai_assets.store.engine import reachable
from ai_assets.warehouse import subjects
from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.sites import active_sites
from ai_assets.warehouse.windows import WINDOWS

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from ai_assets.chains.fill_request import FillRequest

BATCH = 10_000
"""Jobs queued by one transaction."""
NAMED = 5
"""Unknown ids named in an error."""
ALREADY_PENDING = "already pending"


@dataclass(frozen=True)
class FillResult:
    """How many jobs were queued for members, pairs and sites, what was left out and why, the new jobs' ids."""

    queued: int
    left_out: Counter[str]
    first_job: int | None = None
    last_job: int | None = None

    def sentence(self) -> str:
        """One line for people."""
        left_out = ", ".join(f"{count} {reason}" for reason, count in self.left_out.most_common())
        return f"{self.queued} jobs queued; left out: {left_out or 'nothing'}"


def plan_fill(connection: Connection, request: FillRequest, *, max_jobs: int) -> FillPlan:
    """The jobs that the request gives now.

    Raises InputError for a site or member that does not exist and for more than `max_jobs`, WarehouseError.
    """
    sites = _sites(connection, request.sites)
    chosen = _subjects(connection, request, sites)
    answered = {
        name: answered_targets(connection, name, APPS[name].cache_type, sites)
        for name in (request.apps if request.only_failed else ())
    }
    plan = plan_jobs(request, chosen, answered)
    if len(plan.jobs) > max_jobs:
        raise InputError(
            f"{len(plan.jobs):,} jobs would be queued, more than max_jobs {max_jobs:,}: "
            "name fewer sites, members or apps, or raise max_jobs"
        )
    return plan


def queue_fill(
    engine: Engine,
    plan: FillPlan,
    *,
    forced: bool,
    queued_by: str,
    on_batch: Callable[[int, int], None] = lambda _done, _total: None,
) -> FillResult:
    """Queue the plan's jobs, a transaction for each batch; `on_batch` gets the number of jobs done and of all.

    What a pending job covers is left out, so that an interrupted fill can simply be repeated.
    """
    ids: list[int] = []
    for begin in range(0, len(plan.jobs), BATCH):
        batch = plan.jobs[begin : begin + BATCH]
        with engine.begin() as connection:
            ids += manual_jobs.queue(connection, batch, forced=forced, queued_by=queued_by)
        on_batch(begin + len(batch), len(plan.jobs))
    left_out = plan.left_out + Counter({ALREADY_PENDING: len(plan.jobs) - len(ids)})
    return FillResult(len(ids), left_out, min(ids, default=None), max(ids, default=None))


def queue_missing_cells(engine: Engine, sites: Sequence[int], *, queued_by: str) -> int:
    """Queue the sites' cells that have no answer, or whose last call failed; returns how many jobs that made.

    Raises as `plan_fill`, and DatabaseUnavailableError.
    """
    if not sites:
        return 0
    request = fill_request(apps=FINANCE_APPS, sites=sites, only_failed=True)
    with reachable("queueing missing cells"):
        with engine.connect() as connection:
            # a box has one cell at least
            plan = plan_fill(connection, request, max_jobs=len(AREAS) * len(WINDOWS) * len(sites))
        return queue_fill(engine, plan, forced=False, queued_by=queued_by).queued


def _sites(connection: Connection, wanted: Sequence[int]) -> list[int]:
    if not wanted:
        active = [site.site_id for site in active_sites(connection)]
        if not active:
            raise InputError("there is no active site in biz.sites")
        return active
    known = subjects.known_sites(connection, wanted)
    _refuse_unknown("sites", [site_id for site_id in wanted if site_id not in known], "biz.sites")
    return list(wanted)


def _subjects(connection: Connection, request: FillRequest, sites: Sequence[int]) -> FillSubjects:
    if not (request.member_apps or request.pair_apps):
        return FillSubjects(sites)
    members = subjects.members_of(connection, sites, request.members)
    there = {member_id for _, member_id in members}
    _refuse_unknown(
        "members",
        [member_id for member_id in request.members if member_id not in there],
        "biz.members of the chosen sites",
    )
    with_note: set[subjects.Member] = set()
    if "app6_note" in request.apps:
        with_note = subjects.members_with_note(connection, sites, request.members)
    if not request.pair_apps:
        return FillSubjects(sites, members, with_note)
    return FillSubjects(
        sites,
        members,
        with_note,
        pairs=_pairs(connection, request, sites),
        assistants=subjects.assistants_of(connection, sites),
    )


def _pairs(connection: Connection, request: FillRequest, sites: Sequence[int]) -> set[subjects.Pair]:
    """Pairs of a task, a settlement, an answer or a call: what events made partitions of."""
    apps = [APPS[name] for name in request.pair_apps]
    of_ledger = known_pairs(connection, [app.name for app in apps], [app.cache_type for app in apps], sites)
    return of_ledger | subjects.pairs_of(connection, sites, request.members)


def _refuse_unknown(field: str, unknown: Sequence[int], table: str) -> None:
    if unknown:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        named = ", ".join(map(str, unknown[:NAMED]))
        raise InputError(f"unknown {field} {named}{more}: not in {table}; nothing was queued")
