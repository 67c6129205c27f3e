"""That the guard's limits hold to the call: the budget, a half-open breaker's probes, the rate. Real processes.

Here: rounds of many callers at once, with processes killed in the middle. Not here: what it costs
(`bench.guard_speed`).
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Engine, text

from ai_assets.guard.limits import GuardLimits
from ai_assets.settings import Settings
from ai_assets.store import upkeep
from bench import figures
from bench.guard_crew import Crew, crew, divided

APP = "app2_finance"
SITE = 1
BUDGET_CALLERS, BUDGET_CALLS, BUDGET_ROUNDS = 200, 100, 50
PROBE_CALLERS, PROBE_ROUNDS, PROBE_ASKS = 50, 20, 3
ESTIMATE = 500 + 1500
"""Of a prompt of 500 characters, before the app has a past."""

EMPTY = text(
    """
    delete from biz.ai_leases; delete from biz.ai_breakers; delete from biz.ai_breaker_outcomes;
    delete from biz.ai_rate_queue; delete from biz.ai_rate_places; delete from biz.ai_rate_limits;
    delete from biz.ai_budgets; delete from biz.ai_run_logs; delete from biz.ai_cache
    """
)
_ADMITTED = text("select count(*) from biz.ai_run_logs where status in ('running', 'success')")
_BUDGETS = text("select scope, used, reserved from biz.ai_budgets where period like 'day%'")
_HOLDERS_DIE = text("update biz.ai_leases set expires_at = clock_timestamp() - interval '1 s'")
_OPENED = text(
    "insert into biz.ai_breakers (app_type, state, epoch, open_until) "
    "values (:app, 'open', 2, clock_timestamp() - interval '1 s')"
)
_PROBES = text("select count(*) filter (where is_probe), count(*) from biz.ai_leases")


@dataclass
class Budgets:
    """What 50 rounds of a rush on a budget came to."""

    wrong: int = 0
    after: int = 0
    kills: int = 0
    rounds: int = 0


def budget(url: str, engine: Engine) -> list[figures.Figure]:
    """200 callers and a budget for 100 of them, in rounds, in some of which a process is killed at random."""
    dice = random.Random(4)
    found = Budgets()
    with crew(url) as workers:
        for number in range(BUDGET_ROUNDS):
            # every other round settles what it was given at its estimate, and so frees nothing either
            _budget_round(workers, engine, dice, found, kills=number % 3 == 2, settles=number % 2 == 1)
    print(f"guard: budget: {found}", flush=True)
    what = (
        f"{BUDGET_CALLERS} callers, budget for {BUDGET_CALLS}, {found.rounds} rounds, {found.kills} SIGKILLs"
    )
    return [
        figures.exactly("guard", f"{what}: rounds that admitted another number", found.wrong, 0),
        figures.exactly(
            "guard", "the same: rounds after which a reservation was left or lost", found.after, 0
        ),
    ]


def _budget_round(
    workers: Crew, engine: Engine, dice: random.Random, found: Budgets, *, kills: bool, settles: bool
) -> None:
    limits = {"rate_per_minute": 1_000_000, "daily_tokens": BUDGET_CALLS * ESTIMATE}
    job = {"role": "rush", "asks": 1, "settles": settles, "apps": [APP], "sites": [SITE], "limits": limits}
    with engine.begin() as connection:
        connection.execute(EMPTY)
    workers.begin(divided(BUDGET_CALLERS), job)
    if kills:
        _wait_for_admitted(engine, dice.randrange(1, BUDGET_CALLS))
        workers.kill(dice.randrange(4), engine)
        found.kills += 1
    verdicts = Counter(verdict for verdicts in workers.results() for verdict in verdicts)
    admitted = _admitted(engine)
    found.rounds += 1
    found.wrong += admitted != BUDGET_CALLS or set(verdicts) != {"admitted", "budget_exceeded:day"}
    found.after += not _nothing_leaked(workers, engine, job, limits)


def _nothing_leaked(workers: Crew, engine: Engine, job: dict[str, object], limits: dict[str, int]) -> bool:
    """The leases that are left end: all is charged, nothing stays reserved, and ten calls more are ten calls more."""
    with engine.begin() as connection:
        connection.execute(_HOLDERS_DIE)
    upkeep.sweep(engine)
    with engine.connect() as connection:
        rows = connection.execute(_BUDGETS).all()
    charged = {(row.used, row.reserved) for row in rows} == {(BUDGET_CALLS * ESTIMATE, 0)}
    more = {**limits, "daily_tokens": (BUDGET_CALLS + 10) * ESTIMATE}
    workers.begin(divided(40), {**job, "limits": more, "settles": False})
    verdicts = Counter(verdict for verdicts in workers.results() for verdict in verdicts)
    return charged and verdicts["admitted"] == 10


def _wait_for_admitted(engine: Engine, count: int) -> None:
    while _admitted(engine) < count:
        pass


def _admitted(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(_ADMITTED).scalar_one())


def probes(url: str, engine: Engine) -> list[figures.Figure]:
    """A breaker whose open time has ended, and 50 callers who ask again and again: each round gives so many probes."""
    wanted = GuardLimits.from_settings(Settings()).breaker_probes
    wrong = 0
    job = {
        "role": "rush",
        "asks": PROBE_ASKS,
        "settles": False,
        "apps": [APP],
        "sites": [SITE],
        "limits": {"rate_per_minute": 1_000_000},
    }
    with crew(url) as workers:
        for _ in range(PROBE_ROUNDS):
            with engine.begin() as connection:
                connection.execute(EMPTY)
                connection.execute(_OPENED, {"app": APP})
            workers.begin(divided(PROBE_CALLERS), job)
            verdicts = Counter(verdict for verdicts in workers.results() for verdict in verdicts)
            with engine.connect() as connection:
                leases = tuple(connection.execute(_PROBES).one())
            refused = PROBE_CALLERS * PROBE_ASKS - wanted
            wrong += verdicts != {"admitted": wanted, "circuit_open": refused} or leases != (wanted, wanted)
    print(f"guard: probes: {wrong} rounds of {PROBE_ROUNDS} wrong", flush=True)
    what = (
        f"half-open, {PROBE_CALLERS} callers who ask {PROBE_ASKS} times each, {PROBE_ROUNDS} rounds: "
        f"rounds with another number of probes than {wanted}"
    )
    return [figures.exactly("guard", what, wrong, 0)]
