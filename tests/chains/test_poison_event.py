"""An event that kills its worker: it alone becomes dead, and every other event completes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_assets.sensors.worker_count import Present, workers_to_start
from ai_assets.store import leases
from ai_assets.store.alerts import alert_dead
from ai_assets.store.queue_depth import queue_depth

SCRIPT = Path(__file__).with_name("worker_process.py")
PATIENCE_S = 240.0


class Crew:
    """Worker processes, started by the sensor's rule: one shared worker at most, and an isolated one beside it."""

    def __init__(self, database_url: str, base_url: str, engine) -> None:
        self.addresses = (database_url, base_url)
        self.engine = engine
        self.live: dict[str, list[subprocess.Popen[bytes]]] = {"never": [], "only": []}
        self.ended: Counter[tuple[str, int]] = Counter()
        self.most = 0

    def tick(self) -> bool:
        """Requeue what dead processes left, start what the rule says; returns whether anything waits or runs."""
        with self.engine.begin() as connection:
            requeued = leases.requeue_expired(connection, max_attempts=3)
            depth = queue_depth(connection)
        alert_dead(self.engine, requeued)
        for kind, processes in self.live.items():
            for process in [process for process in processes if process.poll() is not None]:
                processes.remove(process)
                self.ended[kind, process.returncode] += 1
        start = workers_to_start(
            startable=depth.startable,
            alone=depth.alone,
            shared=Present(len(self.live["never"])),
            isolated=Present(len(self.live["only"])),
            concurrency=16,
            minimum=0,
            maximum=1,
            overdue=False,
        )
        for kind, count in (("never", start.shared), ("only", start.isolated)):
            for _ in range(count):
                self.live[kind].append(subprocess.Popen([sys.executable, SCRIPT, *self.addresses, kind]))
        return not depth.is_empty

    def stop(self) -> None:
        """End what is left."""
        for process in [*self.live["never"], *self.live["only"]]:
            process.kill()
            process.wait(10)


@pytest.fixture
def crew(venue_url, simulator, events, monkeypatch) -> Iterator[Crew]:
    monkeypatch.setattr(leases, "RETRY_BASE_S", 0.05)
    made = Crew(venue_url, simulator.base_url, events.engine)
    yield made
    made.stop()


def test_an_event_that_kills_its_worker_makes_no_other_event_dead(crew, events, simulator):
    simulator.configure(latency=0.2)
    members = [m for (m,) in events.rows("select member_id from biz.members where site_id = 1001 limit 20")]
    poison = events.consumption_of(members[7], poison=True)
    others = [events.consumption_of(member) for member in members[:16] if member != members[7]]
    late: list[int] = []
    ends = time.monotonic() + PATIENCE_S
    while crew.tick():
        assert time.monotonic() < ends, events.rows(
            "select status, count(*) from biz.ai_trigger_jobs group by 1"
        )
        if not late and crew.ended["never", -signal.SIGKILL]:
            # what comes while the suspects wait is not held up by them, and makes up new company
            late = [events.consumption_of(member) for member in members[16:]]
        time.sleep(0.1)

    assert events.job(poison).status == "dead"
    assert events.job(poison).attempts == 3
    assert {events.job(job).status for job in (*others, *late)} == {"completed"}
    # two attempts in company, the last one alone
    assert crew.ended["never", -signal.SIGKILL] == 2
    assert crew.ended["only", -signal.SIGKILL] == 1
    assert [
        (kind, str(poison) in said)
        for kind, said in events.rows("select alert_type, message from biz.ai_alerts")
    ] == [("dead", True)]
