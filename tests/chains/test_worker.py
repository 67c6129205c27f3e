"""A worker's life: when it ends, what becomes of its chains when it must stop, and taking over what another left."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import create_engine, text

from ai_assets.chains import worker as worker_module
from ai_assets.chains.member_chain import ChainStoppedError, run_chain
from ai_assets.chains.worker import Worker
from ai_assets.chains.worker_values import WorkerLimits
from ai_assets.store import claims, leases


def a_worker(runtime, events, **limits):
    settings = {"lease_s": 30.0, "linger_s": 0.0, "ends_in_failure": False, **limits}
    return Worker(runtime, WorkerLimits(**settings), events.shown, worker_id=settings.pop("worker_id", "one"))


def test_a_worker_with_nothing_to_do_ends_after_its_linger_and_leaves_no_heartbeat(make_runtime, events):
    summary = a_worker(make_runtime(), events).run()
    assert summary.why == "there was nothing to do"
    assert events.rows("select count(*) from biz.ai_workers") == [(0,)]


def test_a_worker_lives_no_longer_than_its_time_and_lets_its_chains_end(make_runtime, events, simulator):
    simulator.configure(latency=0.3)
    first = events.consumption()
    summary = a_worker(make_runtime(), events, max_s=0.2, linger_s=1000.0).run()
    assert summary.why == "its time is over"
    assert events.job(first).status == "completed"


def test_a_worker_with_a_failed_step_ends_when_it_is_next_idle(make_runtime, events, simulator):
    simulator.configure(app="app7", fail=1.0)
    job_id = events.consumption()
    summary = a_worker(make_runtime(), events, linger_s=1000.0, ends_in_failure=True).run()
    assert summary.why == "a step failed and it is idle"
    assert summary.failed_steps == 1
    assert [(job, step.app) for job, step in summary.failures] == [(job_id, "app7_customer")]


def test_a_worker_counts_every_failed_step_and_keeps_the_last_ones(
    make_runtime, events, simulator, monkeypatch
):
    simulator.configure(app="app5", fail=1.0)
    members = [m for (m,) in events.rows("select member_id from biz.members where site_id = 1001 limit 60")]
    for member in members:
        events.fire("task_assigned", member=member, assistant_id=7)
    summary = events.work(make_runtime(breaker_min_calls=10_000))
    assert summary.reasons == {"app5_tactics server_error": 60}
    assert summary.failed_steps == 60
    assert len(summary.failures) == 50
    assert "60 partial (app5_tactics server_error x 60)" in summary.sentence()


def test_a_worker_that_is_busy_ends_a_minute_after_a_failed_step(
    make_runtime, events, simulator, monkeypatch
):
    monkeypatch.setattr(worker_module, "FAILURE_GRACE_S", 0.1)
    simulator.configure(app="app3", fail=1.0)
    simulator.configure(app="app8", latency=0.5)
    events.consumption()
    late = []
    events.shown.on_step = lambda _job, step: (
        late.append(events.fire("consumption", member=556))
        if step.app == "app8_consolidation" and not late
        else None
    )
    summary = a_worker(make_runtime(), events, linger_s=1000.0, ends_in_failure=True).run()
    assert summary.why == "a step failed a minute ago"
    assert events.job(late[0]).status == "pending", "what came after is the next worker's"


def test_until_empty_waits_for_what_another_worker_runs(make_runtime, events, simulator):
    runtime = make_runtime()
    events.consumption()
    with events.engine.begin() as connection:
        [job] = claims.claim_member_jobs(
            connection, owner="other", run_id=None, lease_s=30, limit=1, after_site=None
        )
    done = threading.Event()

    def work() -> None:
        events.work(runtime)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert not done.wait(0.7)
    with events.engine.begin() as connection:
        leases.requeue(connection, [job.id], owner="other", error="not mine")
    thread.join(60)
    assert events.job(job.id).status == "completed"


def test_a_worker_asked_to_stop_hands_back_what_it_cannot_finish_and_the_next_goes_on(
    make_runtime, events, simulator, monkeypatch
):
    monkeypatch.setattr(worker_module, "STOP_S", 0.2)
    simulator.configure(app="app8", latency=60.0)
    job_id = events.consumption()
    stop = threading.Event()
    events.shown.on_step = lambda _job, _step: stop.set()
    began = time.monotonic()
    summary = a_worker(make_runtime(step_timeout_s=120.0), events).run(stop)
    assert time.monotonic() - began < 10
    assert summary.stopped
    assert summary.handed_back == 1
    job = events.job(job_id)
    assert (job.status, job.attempts) == ("pending", 0)
    assert events.rows("select count(*) from biz.ai_leases") == [(0,)]

    simulator.reset()
    events.shown.on_step = lambda _job, _step: None
    events.work(make_runtime())
    assert events.job(job_id).status == "completed"
    assert set(events.outcomes(job_id).values()) <= {"success", "reused"}
    assert len(simulator.calls("app3")) == 0, "its answer was there already"


def test_a_worker_asked_to_stop_lets_a_chain_end_that_is_nearly_done(make_runtime, events, simulator):
    simulator.configure(latency=0.3)
    job_id = events.consumption()
    stop = threading.Event()
    events.shown.on_step = lambda _job, _step: stop.set()
    summary = a_worker(make_runtime(), events).run(stop)
    assert events.job(job_id).status == "completed"
    assert summary.handed_back == 0


@pytest.mark.parametrize("forced", [False, True])
def test_a_chain_that_is_taken_over_repeats_no_step_that_has_its_result(
    make_runtime, events, simulator, forced
):
    runtime = make_runtime()
    job_id = events.fire("consumption", forced=forced)
    with events.engine.begin() as connection:
        [job] = claims.claim_member_jobs(
            connection, owner="dead", run_id=None, lease_s=30, limit=1, after_site=None
        )
    killed = threading.Event()
    with pytest.raises(ChainStoppedError):
        run_chain(
            runtime, job, cancelled=killed, out_of_time=lambda: False, on_step=lambda _step: killed.set()
        )
    events.run("update biz.ai_trigger_jobs set lease_until = clock_timestamp() - interval '1 second'")
    events.work(runtime)
    assert events.job(job_id).status == "completed"
    assert events.job(job_id).attempts == 2
    assert len(simulator.calls("app3")) == 1
    assert events.outcomes(job_id) == {
        "app3_clue": "success", "app8_consolidation": "success", "app7_customer": "success",
    }  # fmt: skip
    [(made,)] = events.rows("select result_json -> 'clues' from biz.ai_cache where cache_type = 'app3_clue'")
    assert made[0]["summary"] in simulator.calls("app8")[0].prompt, "handed on as if made in this attempt"


def test_a_step_that_the_app_failed_is_not_tried_again_by_the_next_attempt(make_runtime, events, simulator):
    runtime = make_runtime()
    simulator.configure(app="app3", fail=1.0)
    job_id = events.consumption()
    with events.engine.begin() as connection:
        [job] = claims.claim_member_jobs(
            connection, owner="dead", run_id=None, lease_s=30, limit=1, after_site=None
        )
    killed = threading.Event()
    with pytest.raises(ChainStoppedError):
        run_chain(
            runtime, job, cancelled=killed, out_of_time=lambda: False, on_step=lambda _step: killed.set()
        )
    simulator.reset()
    events.run("update biz.ai_trigger_jobs set lease_until = clock_timestamp() - interval '1 second'")
    events.work(runtime)
    assert simulator.calls("app3") == []
    assert events.outcomes(job_id)["app3_clue"] == "failed"
    assert events.job(job_id).status == "partial"


def test_a_job_that_every_worker_loses_is_dead_with_an_alert(make_runtime, events):
    job_id = events.consumption()
    with events.engine.begin() as connection:
        claims.claim_member_jobs(connection, owner="dead", run_id=None, lease_s=30, limit=1, after_site=None)
    events.run(
        "update biz.ai_trigger_jobs set attempts = 3, run_alone = true, "
        "lease_until = clock_timestamp() - interval '1 second'"
    )
    events.work(make_runtime(), max_attempts=3)
    assert events.job(job_id).status == "dead"
    [(kind, message)] = events.rows("select alert_type, message from biz.ai_alerts")
    assert kind == "dead"
    assert str(job_id) in message


def test_a_worker_whose_job_was_taken_over_stops_and_changes_nothing(make_runtime, events, simulator):
    simulator.configure(app="app8", latency=60.0)
    job_id = events.consumption()
    events.shown.on_step = lambda _job, _step: events.run(
        "update biz.ai_trigger_jobs set lease_owner = 'another' where status = 'running'"
    )
    summary = a_worker(make_runtime(step_timeout_s=120.0), events, lease_s=0.9).run()
    assert summary.lost == 1
    job = events.job(job_id)
    assert (job.status, job.step_results) == ("running", [])
    assert events.rows("select lease_owner from biz.ai_trigger_jobs") == [("another",)]


def test_a_chain_that_runs_out_of_time_has_failed_and_says_so(make_runtime, events, simulator):
    simulator.configure(app="app8", latency=60.0)
    job_id = events.consumption()
    leap = {"s": 0.0}

    def on_step(_job, step):
        leap["s"] = 10_000.0

    events.shown.on_step = on_step
    worker = Worker(
        make_runtime(step_timeout_s=120.0),
        WorkerLimits(lease_s=1e6, linger_s=0.0, max_s=1e9, ends_in_failure=False),
        events.shown,
        worker_id="one",
        clock=lambda: time.monotonic() + leap["s"],
    )
    worker.run()
    job = events.job(job_id)
    assert job.status == "failed"
    assert "out of time" in job.error_message
    assert [step["reason"] for step in job.step_results[1:]] == ["chain_timeout", "chain_timeout"]
    assert ("timeout",) in events.rows("select alert_type from biz.ai_alerts")


def test_a_reporter_that_fails_fails_no_chain(make_runtime, events):
    def on_step(_job, _step):
        raise RuntimeError("Dagster is away")

    events.shown.on_step = on_step
    job_id = events.consumption()
    events.work(make_runtime())
    assert events.job(job_id).status == "completed"


def test_an_attempt_that_lost_postgres_is_made_again(
    make_runtime, events, simulator, monkeypatch, server_url
):
    monkeypatch.setattr(worker_module, "UPKEEP_S", 0.2)
    monkeypatch.setattr(leases, "RETRY_BASE_S", 0.1)
    name = events.engine.url.database
    admin = create_engine(server_url, isolation_level="AUTOCOMMIT")

    def door(is_open: bool) -> None:
        with admin.connect() as connection:
            connection.execute(
                text(f"alter database {name} allow_connections {'true' if is_open else 'false'}")
            )
            if not is_open:
                connection.execute(
                    text("select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"),
                    {"name": name},
                )

    closed = threading.Event()

    def on_step(_job, _step):
        if not closed.is_set():
            closed.set()
            door(False)
            threading.Timer(1.0, door, [True]).start()

    events.shown.on_step = on_step
    job_id = events.consumption()
    events.work(make_runtime(), lease_s=20.0)
    admin.dispose()
    events.engine.dispose()
    job = events.job(job_id)
    assert closed.is_set()
    assert (job.status, job.attempts) == ("completed", 2)
    assert len(simulator.calls("app3")) == 1


def test_one_busy_site_does_not_hold_up_the_others(make_runtime, events, simulator):
    members = [
        m
        for (m,) in events.rows("select member_id from biz.members where site_id = 1001 order by 1 limit 40")
    ]
    for member in members:
        events.fire("task_assigned", member=member, assistant_id=7)
    [(other,)] = events.rows("select min(member_id) from biz.members where site_id = 1002")
    [(assistant,)] = events.rows("select min(assistant_id) from biz.assistants where site_id = 1002")
    calm = events.fire("task_assigned", site=1002, member=other, assistant_id=assistant)
    simulator.configure(latency=0.05)
    events.work(make_runtime(), concurrency=2)
    order = list(dict.fromkeys(job for job, _ in events.shown.steps))
    assert order.index(calm) <= 2


def test_an_event_about_a_member_who_is_not_there_is_never_shown_as_begun(make_runtime, events):
    events.fire("consumption", member=999_999)
    well = events.consumption()
    events.work(make_runtime())
    assert events.shown.jobs == [well]


def test_a_burst_above_the_sites_rate_waits_in_the_inbox_and_loses_nothing(make_runtime, events, simulator):
    members = [m for (m,) in events.rows("select member_id from biz.members where site_id = 1001 limit 12")]
    jobs = [events.fire("consumption", member=member) for member in members]
    stop = threading.Event()
    # 20 calls a minute and site: the first chains use them up; a refusal would come after a tenth of a second
    runtime = make_runtime(rate_per_minute=20, admission_wait_s=2.0)
    ended: list[int] = []

    def on_step(job, step):
        if step.app == "app7_customer":
            ended.append(job.id)
            if len(ended) == 5:
                stop.set()

    events.shown.on_step = on_step
    timer = threading.Timer(15.0, stop.set)
    timer.start()
    a_worker(runtime, events, linger_s=1000.0).run(stop)
    timer.cancel()
    statuses = [events.job(job).status for job in jobs]
    assert set(statuses) == {"completed", "pending"}, "what has no room waits, nothing is refused"
    assert statuses.count("completed") >= 4
    assert events.rows("select count(*) from biz.ai_run_logs where status = 'refused'") == [(0,)]
    # a minute later there is room again
    events.run("update biz.ai_rate_places set taken_at = taken_at - interval '61 seconds'")
    events.shown.on_step = lambda _job, _step: None
    with events.engine.begin() as connection:
        assert claims.claim_member_jobs(
            connection, owner="next", run_id=None, lease_s=30, limit=3, after_site=None, rate_per_minute=20
        )
