"""Workers run what a person queued: exactly the named apps, as manual and background work."""

from __future__ import annotations

from ai_assets.chains.fill_request import fill_request
from ai_assets.chains.filling import plan_fill, queue_fill


def fill(events, apps, *, members=(555,), forced=False, **asked):
    request = fill_request(apps=apps, sites=[1001], members=members, forced=forced, **asked)
    with events.engine.connect() as connection:
        plan = plan_fill(connection, request, max_jobs=1000)
    queue_fill(events.engine, plan, forced=forced, queued_by="test")
    return [
        id
        for (id,) in events.rows("select id from biz.ai_trigger_jobs where event_type = 'manual' order by id")
    ]


def test_a_worker_runs_the_named_apps_and_the_answers_say_that_a_person_asked(make_runtime, events):
    (job_id,) = fill(events, ["app7", "app3"])
    events.work(make_runtime())
    assert events.job(job_id).status == "completed"
    assert events.outcomes(job_id) == {"app3_clue": "success", "app7_customer": "success"}
    assert events.rows(
        "select distinct trigger_type, triggered_by from biz.ai_run_logs g join biz.ai_cache c on c.run_log_id = g.id"
        " where g.trigger_job_id = :id", id=job_id,
    ) == [("manual", "admin_manual")]  # fmt: skip


def test_unchanged_data_costs_no_call_unless_it_is_forced(make_runtime, events, simulator):
    runtime = make_runtime()
    fill(events, ["app3"])
    events.work(runtime)
    again = fill(events, ["app3"])[-1]
    events.work(runtime)
    assert events.outcomes(again) == {"app3_clue": "reused"}
    forced = fill(events, ["app3"], forced=True)[-1]
    events.work(runtime)
    assert events.outcomes(forced) == {"app3_clue": "success"}
    assert len(simulator.calls("app3")) == 2


def test_app6_has_nothing_to_do_where_the_note_is_gone_and_the_job_is_completed(make_runtime, events):
    jobs = fill(events, ["app6", "app8"]) + fill(events, ["app6"], forced=True)[-1:]
    events.run("delete from biz.member_notes where member_id = 555")
    events.work(make_runtime())
    assert events.outcomes(jobs[0]) == {"app6_note": "no note", "app8_consolidation": "success"}
    assert events.outcomes(jobs[1]) == {"app6_note": "no note"}
    assert {events.job(job_id).status for job_id in jobs} == {"completed"}


def test_pairs_run_after_their_member_each_with_its_assistant(make_runtime, events):
    jobs = fill(events, ["app3", "app4", "app5"])
    assert len(jobs) > 1
    events.work(make_runtime())
    (member, *pairs) = [events.job(job_id) for job_id in jobs]
    assert [step["app"] for step in member.step_results] == ["app3_clue"]
    for pair in pairs:
        assert pair.status == "completed"
        target = f"{pair.payload['assistant_id']}_555"
        assert [(step["app"], step["target_id"]) for step in pair.step_results] == [
            ("app4_analysis", target),
            ("app5_tactics", target),
        ]
        assert pair.started_at >= member.finished_at


def test_a_failed_step_is_what_only_failed_queues_next(make_runtime, events, simulator):
    simulator.configure(app="app7", fail=1.0)
    (job_id,) = fill(events, ["app3", "app7"])
    events.work(make_runtime())
    assert events.job(job_id).status == "partial"
    simulator.reset()
    next_id = fill(events, ["app3", "app7"], only_failed=True)[-1]
    assert events.job(next_id).app_chain == "app7"


def test_a_live_event_does_not_wait_for_the_queued_work_and_finds_a_free_slot(
    make_runtime, events, simulator
):
    members = [m for (m,) in events.rows("select member_id from biz.members where site_id = 1001 limit 12")]
    # each call takes long enough for chains to overlap
    simulator.configure(latency=0.3)
    queued = fill(events, ["app3"], members=members)
    sent = []
    live_member = events.rows("select max(member_id) from biz.members where site_id = 1001")[0][0]
    events.shown.on_step = lambda job, _step: (
        sent.append(events.fire("note_created", member=live_member, note_content="想学斯诺克"))
        if not sent and job.id in queued
        else None
    )
    events.work(make_runtime(batch_rate_share=0.5), concurrency=4)
    assert events.job(sent[0]).status == "completed"
    began = sorted((events.job(job_id).started_at, job_id) for job_id in [*queued, sent[0]])
    # the four slots: at most two are taken by queued work when the event comes
    assert [job_id for _at, job_id in began].index(sent[0]) <= 5
    spans = [(events.job(job_id).started_at, events.job(job_id).finished_at) for job_id in queued]
    assert max(sum(start <= at < end for start, end in spans) for at, _ in spans) <= 2
