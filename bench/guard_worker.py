"""One process of callers of the guard: `python -m bench.guard_worker URL NAME CONNECTIONS`, told what to do by lines.

Here: the caller's side, as a step makes a call, without the call. Not here: what is measured (`bench.guard_speed`,
`bench.guard_limits`), the processes (`bench.guard_crew`).
Protocol: a job as a line of JSON on standard input; `ready` when every caller has its connection; a second line
lets all begin at once; then one line of JSON with what came of it. The end of the input ends the process.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from ai_assets.errors import AiAssetsError
from ai_assets.guard.admission import Admission, Call, Guard, GuardRefusalError, Reuse
from ai_assets.guard.ending import Answer, Ending
from ai_assets.guard.limits import GuardLimits
from ai_assets.settings import Settings
from ai_assets.store.engine import autocommitting, make_engine
from ai_assets.store.run_log import CallRecord

PROMPT = "{" + "营收" * 1000 + "}"
RESULT = {"insights": [{"title": "营收稳定", "body": "本周营收与上周持平。" * 8, "tone": "neutral"}] * 4}
TOKENS = 1500

PLAIN_TABLE = "create table bench_plain (id bigint generated always as identity primary key, body text)"
_PLAIN = text("insert into bench_plain (body) values (:body)")

Job = dict[str, Any]
Caller = Callable[[int], Any]


class Worker:
    """The callers of one process, on one pool of connections."""

    def __init__(self, url: str, name: str, connections: int) -> None:
        self._name = name
        self._warm = connections
        self._engine = make_engine(url, pool_size=connections, application_name=name)
        self._counts: dict[int, int] = {}
        self._looks = threading.local()

    def prepare(self, job: Job) -> Callable[[], list[Any]]:
        """Threads with a warm connection each, as far as the pool goes; call what is returned to let them begin."""
        one: Caller = getattr(self, f"_{job['role']}")(job)
        callers: int = job["callers"]
        gate, warm = threading.Event(), threading.Barrier(callers + 1)
        pool = ThreadPoolExecutor(max(1, callers))

        def begin(number: int) -> Any:
            if number < self._warm:
                with self._engine.connect() as connection:
                    connection.execute(text("select 1"))
                    warm.wait(60)
            else:
                warm.wait(60)
            gate.wait()
            return one(number)

        futures = [pool.submit(begin, number) for number in range(callers)]
        warm.wait(60)

        def run() -> list[Any]:
            gate.set()
            done = [future.result() for future in futures]
            pool.shutdown()
            return done

        return run

    def _calls(self, job: Job) -> Caller:
        """Whole calls, again and again: milliseconds of [admit, settle] of each, and the errors there were."""
        guard = self._guard(job)

        def caller(number: int) -> dict[str, list[Any]]:
            dice = random.Random(f"{self._name} {number}")
            # callers of different chains do not ask at the same instant
            time.sleep(dice.random() * job["call_s"])
            ends, times, errors = time.monotonic() + job["seconds"], [], []
            while time.monotonic() < ends:
                call = self._call(
                    job, number, dice.choice(job["apps"]), dice.choice(job["sites"]), prompt=PROMPT
                )
                try:
                    times.append(self._whole(guard, call, job["call_s"]))
                except (AiAssetsError, OSError) as error:
                    errors.append(str(error))
            return {"times": times, "errors": errors}

        return caller

    def _whole(self, guard: Guard, call: Call, call_s: float) -> tuple[float, float]:
        began = time.perf_counter()
        admission = guard.admit(call, threading.Event())
        admitted = time.perf_counter()
        if not isinstance(admission, Admission):
            raise TypeError(f"{call.target_id} was not admitted")
        time.sleep(call_s)
        answered = time.perf_counter()
        self._settle(guard, call, admission, TOKENS)
        return (admitted - began) * 1000, (time.perf_counter() - answered) * 1000

    def _settle(self, guard: Guard, call: Call, admission: Admission, tokens: int) -> None:
        """As a step ends: cache, run log and guard in one statement."""
        with autocommitting(self._engine) as connection:
            record = CallRecord("success", response_text=json.dumps(RESULT), tokens_used=tokens)
            guard.end(
                connection,
                admission,
                Ending(record, "passed", answer=Answer(call.cache_type, RESULT, "bench")),
            )

    def _inserts(self, job: Job) -> Caller:
        """Plain inserts of a prompt, each committed: milliseconds of each."""

        def caller(_number: int) -> list[float]:
            ends, times = time.monotonic() + job["seconds"], []
            while time.monotonic() < ends:
                began = time.perf_counter()
                with self._engine.begin() as connection:
                    connection.execute(_PLAIN, {"body": PROMPT})
                times.append((time.perf_counter() - began) * 1000)
            return times

        return caller

    def _rush(self, job: Job) -> Caller:
        """Ask `asks` times and keep what was given, or settle it at its estimate: the verdicts."""
        guard = self._guard(job)

        def caller(number: int) -> list[str]:
            verdicts = []
            for _ in range(job["asks"]):
                call = self._call(job, number, job["apps"][0], job["sites"][0])
                try:
                    admission = guard.admit(call, threading.Event())
                except GuardRefusalError as refusal:
                    verdicts.append(refusal.refusal)
                    continue
                if isinstance(admission, Reuse):
                    verdicts.append("reused")
                    continue
                verdicts.append("admitted")
                if job["settles"]:
                    self._settle(guard, call, admission, admission.reserved_tokens)
            return verdicts

        return caller

    def _press(self, job: Job) -> Caller:
        """Ask again and again: for each call [target, asked at (Unix time), looks, batch]. Its lease is kept."""
        guard = self._guard(job, pause=self._counted)
        live: int = job["live"]

        def caller(number: int) -> list[tuple[str, float, int, bool]]:
            dice = random.Random(f"{self._name} {number}")
            batch = number >= live
            ends, asked = time.monotonic() + job["seconds"], []
            while time.monotonic() < ends:
                call = self._call(job, number, job["apps"][0], job["sites"][0])
                call = replace(call, trigger_type="batch" if batch else "event")
                self._looks.count = 1
                began = time.time()
                try:
                    guard.admit(call, threading.Event())
                except GuardRefusalError:
                    continue
                asked.append((call.target_id, began, self._looks.count, batch))
                if not batch and job["live_every_s"]:
                    time.sleep(dice.expovariate(1 / job["live_every_s"]))
            return asked

        return caller

    def _counted(self, seconds: float, cancelled: threading.Event) -> bool:
        self._looks.count += 1
        return cancelled.wait(seconds)

    def _guard(self, job: Job, **more: Any) -> Guard:
        limits = replace(GuardLimits.from_settings(Settings()), **job["limits"])
        return Guard(self._engine, limits, apps=tuple(job["apps"]), **more)

    def _call(self, job: Job, number: int, app: str, site: int, *, prompt: str = "p" * 500) -> Call:
        self._counts[number] = self._counts.get(number, 0) + 1
        target = f"{self._name}-{number}-{self._counts[number]}"
        return Call(app, app, site, target, prompt, target, "event", lease_s=job.get("lease_s", 185.0))


def main(url: str, name: str, connections: str) -> None:
    """Do the jobs on standard input until it ends."""
    worker = Worker(url, name, int(connections))
    for line in sys.stdin:
        run = worker.prepare(json.loads(line))
        print("ready", flush=True)
        if not sys.stdin.readline():
            break
        print(json.dumps(run()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
