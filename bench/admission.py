"""What the guard costs: threads that admit and settle without pause, all on one site and one app.

Here: the worst case for its locks, beside as many plain committed inserts on the same server. Not here: calls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy import Engine, text

from ai_assets.guard.admission import Admission, Call, Guard
from ai_assets.guard.limits import GuardLimits
from ai_assets.settings import load_settings
from ai_assets.store import run_log
from ai_assets.store.engine import make_engine
from bench import figures
from bench.places import places

THREADS = 8
SECONDS = 5.0
APP = "app2_finance"
PROMPT = "{" + "营收" * 1000 + "}"

_TABLE = text("create table bench_plain (id bigint generated always as identity primary key, body text)")
_INSERT = text("insert into bench_plain (body) values (:body)")

Times = dict[str, list[float]]


def measure() -> list[figures.Figure]:
    """Milliseconds of admit and settle at the 50th and 95th percentile, calls a second, and two ratios."""
    with places() as place:
        engine = make_engine(place.database(), pool_size=THREADS)
        with engine.begin() as connection:
            connection.execute(_TABLE)
        guard = _guard(engine)
        _storm(1, 0.5, lambda target: _one_call(engine, guard, f"warm {target}"))
        one = _storm(1, SECONDS, lambda target: _one_call(engine, guard, f"one {target}"))
        many = _storm(THREADS, SECONDS, lambda target: _one_call(engine, guard, f"many {target}"))
        plain = _storm(THREADS, SECONDS, lambda _target: _plain(engine))
        engine.dispose()
    found: list[figures.Figure] = []
    for name, times in ((f"{THREADS} threads", many), ("1 thread", one)):
        found += [
            figures.told("admission", f"{name}: {part} p50 / p95", _milliseconds(times[part]))
            for part in ("admit", "settle")
        ]
        calls = len(times["admit"]) / SECONDS
        found.append(figures.told("admission", f"{name}: admitted and settled", f"{calls:.0f} a second"))
    gain = len(many["admit"]) / len(one["admit"])
    share = len(plain["insert"]) / len(many["admit"])
    inserts = f"{THREADS} threads: plain committed inserts on the same server p50 / p95"
    return [
        *found,
        figures.told("admission", inserts, _milliseconds(plain["insert"])),
        figures.told("admission", f"calls a second, {THREADS} threads / 1 thread", f"{gain:.2f} x"),
        figures.told("admission", "one call (two commits) costs as many plain inserts", f"{share:.2f}"),
    ]


def _guard(engine: Engine) -> Guard:
    # every limit is set, so that every check is made, and none is ever reached
    limits = replace(
        GuardLimits.from_settings(load_settings()),
        rate_per_minute=1_000_000,
        daily_tokens=10**12,
        monthly_tokens=10**12,
        site_daily_tokens=10**12,
    )
    return Guard(engine, limits, apps=(APP,))


def _storm(threads: int, seconds: float, one: Callable[[str], Times]) -> Times:
    """Do `one` in each thread again and again; the milliseconds of its parts."""
    ends = time.monotonic() + seconds

    def work(thread: int) -> list[Times]:
        done: list[Times] = []
        while time.monotonic() < ends:
            done.append(one(f"{thread}-{len(done)}"))
        return done

    found: Times = {}
    with ThreadPoolExecutor(threads) as pool:
        for done in pool.map(work, range(threads)):
            for times in done:
                for part, values in times.items():
                    found.setdefault(part, []).extend(values)
    return found


def _one_call(engine: Engine, guard: Guard, target: str) -> Times:
    call = Call(APP, APP, 1, target, PROMPT, target, "event")
    began = time.perf_counter()
    admission = guard.admit(call, threading.Event())
    admitted = time.perf_counter()
    if not isinstance(admission, Admission):
        raise SystemExit(f"admission: {target} was not admitted")
    with engine.begin() as connection:
        guard.holds(connection, admission)
        run_log.finish(connection, admission.run_log_id, run_log.CallRecord("success", tokens_used=1000))
        guard.settle(connection, admission, effect="passed", tokens=1000)
    return {
        "admit": [(admitted - began) * 1000],
        "settle": [(time.perf_counter() - admitted) * 1000],
    }


def _plain(engine: Engine) -> Times:
    began = time.perf_counter()
    with engine.begin() as connection:
        connection.execute(_INSERT, {"body": PROMPT})
    return {"insert": [(time.perf_counter() - began) * 1000]}


def _milliseconds(values: list[float]) -> str:
    return f"{figures.percentile(values, 0.5):.1f} / {figures.percentile(values, 0.95):.1f} ms"
