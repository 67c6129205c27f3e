"""What needs the whole of Dagster: one worker against one Dagster run an event, and the cold start of a worker.

Here: `ai-assets up` (web server, daemon, code location), runs launched through its GraphQL as the UI does. The two
ways do the same steps: App3, App8 with the retention clues, App7, for one member each.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import requests
from sqlalchemy import Engine, create_engine, text

from ai_assets.store import inbox
from ai_assets.store.engine import make_engine
from bench import figures
from bench.places import SITE, Places, SimulatorProcess, ai_assets, limits_out_of_the_way, places, simulator
from bench.workers import chains_a_second

RUNS = 24
TARGET = 20.0
COLD_STARTS = 5
COLD_TARGET_S = 12.0
PATIENCE_S = 180.0

_LAUNCH = """
mutation($p: ExecutionParams!) {
  launchPipelineExecution(executionParams: $p) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
_ASSETS = ("app3_clue", "app8_consolidation", "member_retention_clue", "app7_customer")


def measure() -> list[figures.Figure]:
    """Chains a second of one worker : of one Dagster run an event, turn and turn about; the cold start."""
    with places() as place, simulator(0.0) as dashscope:
        by_worker = [chains_a_second(place, dashscope)]
        url = place.database(venue=True)
        with _dagster(place, url, dashscope) as address:
            by_run = _runs_a_second(place, url, address)
            print(f"runs: {by_run:.2f} events a second by a run each", flush=True)
            cold = _cold_starts(url, dashscope)
        by_worker.append(chains_a_second(place, dashscope))
    worker = sum(by_worker) / len(by_worker)
    shown = " and ".join(f"{rate:.1f}" for rate in by_worker)
    return [
        figures.at_least(
            "runs",
            f"one worker ({shown} chains a second) : one run an event ({by_run:.2f} a second)",
            worker / by_run,
            TARGET,
            " x",
        ),
        figures.at_most(
            "runs",
            "no worker: event sent to first request, longest of "
            f"{len(cold)} ({', '.join(f'{seconds:.1f}' for seconds in cold)} s)",
            max(cold),
            COLD_TARGET_S,
            " s",
        ),
    ]


@contextmanager
def _dagster(place: Places, url: str, dashscope: SimulatorProcess) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **place.variables(url),
        **limits_out_of_the_way(dashscope.base_url),
        # each cold start finds no worker
        "AI_WORKER_LINGER_S": "0",
    }
    address = f"http://127.0.0.1:{port}"
    log = place.home / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ai_assets("up", "--port", str(port), "--gateway-port", "0"),
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        _until(lambda: "Dagster UI:" in log.read_text(), "the Dagster UI")
        yield address
    finally:
        process.terminate()
        process.wait(60)


def _runs_a_second(place: Places, url: str, address: str) -> float:
    engine = make_engine(url, pool_size=1)
    with engine.connect() as connection:
        members = list(
            connection.execute(text("select member_id from biz.members order by member_id")).scalars()
        )
    engine.dispose()
    dagster = create_engine(place.variables(url)["DAGSTER_POSTGRES_URL"])
    keys = [f"{SITE}:{member}" for member in members[:RUNS]]
    with dagster.begin() as connection:
        connection.execute(
            text(
                "insert into dynamic_partitions (partitions_def_name, partition) values ('members', :key) "
                "on conflict do nothing"
            ),
            [{"key": key} for key in keys],
        )
    began = time.time()
    for key in keys:
        _launch(address, key)
    _until(lambda: _ended(dagster) >= RUNS, f"{RUNS} runs")
    with dagster.connect() as connection:
        last, failed = connection.execute(
            text(
                "select max(end_time), count(*) filter (where status <> 'SUCCESS') from runs "
                "where pipeline_name = 'member_insights'"
            )
        ).one()
    dagster.dispose()
    if failed:
        raise SystemExit(f"runs: {failed} runs failed, so the time says nothing")
    return RUNS / (float(last) - began)


def _launch(address: str, key: str) -> None:
    parameters: dict[str, Any] = {
        "selector": {
            "repositoryLocationName": "ai_assets",
            "repositoryName": "__repository__",
            "jobName": "member_insights",
            "assetSelection": [{"path": [asset]} for asset in _ASSETS],
        },
        "runConfigData": {},
        "mode": "default",
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": key}]},
    }
    answer = requests.post(
        f"{address}/graphql", json={"query": _LAUNCH, "variables": {"p": parameters}}, timeout=60
    ).json()
    launched = (answer.get("data") or {}).get("launchPipelineExecution") or {}
    if launched.get("__typename") != "LaunchRunSuccess":
        raise SystemExit(f"runs: no run was launched: {answer}")


def _ended(dagster: Engine) -> int:
    with dagster.connect() as connection:
        sql = (
            "select count(*) from runs where pipeline_name = 'member_insights' "
            "and status in ('SUCCESS', 'FAILURE', 'CANCELED')"
        )
        return int(connection.execute(text(sql)).scalar_one())


def _cold_starts(url: str, dashscope: SimulatorProcess) -> list[float]:
    engine = make_engine(url, pool_size=1)
    with engine.connect() as connection:
        members = list(
            connection.execute(text("select member_id from biz.members order by member_id desc")).scalars()
        )
    waits = []
    for number in range(COLD_STARTS):
        _until(lambda: _no_worker(engine), "the worker's end")
        dashscope.reset()
        sent = datetime.now(UTC)
        with engine.begin() as connection:
            inbox.fire(connection, "consumption", site_id=SITE, member_id=members[number], payload={})
        _until(lambda: dashscope.calls() > 0, "the first request")
        waits.append((dashscope.first_call_at() - sent).total_seconds())
        print(f"runs: cold start: {waits[-1]:.1f} s", flush=True)
    engine.dispose()
    return waits


def _no_worker(engine: Engine) -> bool:
    with engine.connect() as connection:
        sql = (
            "select not exists (select from biz.ai_workers) and not exists "
            "(select from biz.ai_trigger_jobs where status in ('pending', 'running'))"
        )
        return bool(connection.execute(text(sql)).scalar_one())


def _until(seen: Any, what: str) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not seen():
        if time.monotonic() > ends:
            raise SystemExit(f"runs: waited {PATIENCE_S:.0f} s for {what}")
        time.sleep(0.1)
