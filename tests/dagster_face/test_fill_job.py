"""The job `fill_answers`: what it queues, what it leaves out, and what it refuses before it queues anything."""

from __future__ import annotations

from collections import Counter

import pytest
from dagster import DagsterEventType, DagsterInstance
from sqlalchemy import text

from ai_assets.warehouse.areas import AREAS


@pytest.fixture
def fill(make_definitions):
    """Run the job with this config; its result."""

    def run(**config):
        job = make_definitions().resolve_job_def("fill_answers")
        with DagsterInstance.ephemeral() as instance:
            return job.execute_in_process(
                instance=instance,
                run_config={
                    "ops": {"queue_answers": {"config": config}},
                    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                },
                raise_on_error=False,
            )

    return run


def failure(result) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data
    return data.user_failure_data.description if data.user_failure_data else str(data.error.cause)


def metadata(result) -> dict:
    assert result.success, failure(result)
    (event,) = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
    return {name: value.value for name, value in event.event_specific_data.metadata.items()}


def rows(engine, sql: str) -> list:
    with engine.connect() as connection:
        return list(connection.execute(text(sql)))


def jobs(engine) -> list:
    return rows(
        engine,
        "select site_id, member_id, app_chain, is_forced, event_type, status, payload - 'queued_by'"
        " from biz.ai_trigger_jobs order by id",
    )


def test_members_get_a_manual_job_each_and_a_second_launch_queues_none(fill, venue_engine):
    made = metadata(fill(apps=["app7", "app3"], sites=[1001], members=[556, 555]))
    assert (made["queued"], made["left out"]) == (2, {})
    assert jobs(venue_engine) == [
        (1001, member, "app3→app7", False, "manual", "pending", {}) for member in (555, 556)
    ]
    again = metadata(fill(apps=["app3_clue"], sites=[1001], members=[555, 556, 557]))
    assert (again["queued"], again["left out"]) == (1, {"already pending": 2})
    # forced work is not covered by a job that may reuse
    assert metadata(fill(apps=["app3"], sites=[1001], members=[555], forced=True))["queued"] == 1


def test_all_members_of_all_sites_and_the_pairs_that_tasks_and_settlements_name(fill, venue_engine):
    made = metadata(fill(apps=["app3", "app4"], all_sites=True))
    queued = Counter((row.site_id, row.app_chain) for row in jobs(venue_engine))
    members = dict(map(tuple, rows(venue_engine, "select site_id, count(*) from biz.members group by 1")))
    pairs = dict(map(tuple, rows(venue_engine, """
        select p.site_id, count(*) from (
            select site_id, assistant_id, member_id from biz.assistant_tasks union
            select site_id, assistant_id, member_id from dws.settlement) p
        where assistant_id is not null and member_id is not null group by 1""")))  # fmt: skip
    assert queued == {
        **{(site, "app3"): count for site, count in members.items()},
        **{(site, "app4"): count for site, count in pairs.items()},
    }
    assert made["queued"] == queued.total()


def test_only_failed_queues_what_has_no_answer_or_failed_since(fill, venue_engine):
    with venue_engine.begin() as connection:
        connection.execute(text("""
            insert into biz.ai_run_logs (id, app_type, site_id, member_id, target_id, trigger_type, status)
            overriding system value values
                (1, 'app3_clue', 1001, 555, '555', 'event', 'success'),
                (2, 'app3_clue', 1001, 556, '556', 'event', 'success'),
                (3, 'app3_clue', 1001, 556, '556', 'event', 'refused'),
                (4, 'app3_clue', 1001, 557, '557', 'event', 'timeout'),
                (5, 'app3_clue', 1001, 557, '557', 'event', 'success'),
                (6, 'app3_clue', 1001, 558, '558', 'event', 'failed')"""))  # fmt: skip
        connection.execute(text("""
            insert into biz.ai_cache
                (cache_type, site_id, target_id, result_json, triggered_by, run_log_id, prompt_hash)
            select 'app3_clue', site_id, target_id, '{}', 'consumption', id, 'h' from biz.ai_run_logs
            where status = 'success'"""))  # fmt: skip
    made = metadata(fill(apps=["app3"], sites=[1001], members=[555, 556, 557, 558, 559], only_failed=True))
    assert [row.member_id for row in jobs(venue_engine)] == [556, 558, 559]
    assert made["left out"] == {"targets with an answer (only_failed)": 2}


def test_a_site_is_one_job_with_its_box_of_cells(fill, venue_engine):
    assert metadata(fill(apps=["app2a"], sites=[1002], windows=["this_month", "last_month"]))["queued"] == 1
    box = {
        "apps": ["app2a_finance_area"],
        "areas": list(AREAS[1:]),
        "windows": ["this_month", "last_month"],
    }
    assert jobs(venue_engine) == [(1002, None, "app2a", False, "manual", "pending", box)]
    again = metadata(fill(apps=["app2a"], sites=[1002], windows=["last_month"]))
    assert again["left out"] == {"already pending": 1}


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({}, "apps is empty"),
        ({"apps": ["app3"]}, "sites is empty"),
        ({"apps": ["app9"], "sites": [1001]}, "unknown app 'app9'"),
        ({"apps": ["app3"], "sites": [1001, 4711]}, "unknown sites 4711"),
        ({"apps": ["app3"], "sites": [1001], "members": [555, 987654]}, "unknown members 987654"),
        ({"apps": ["app3"], "sites": [1001], "max_jobs": 3}, "max_jobs"),
        ({"apps": ["app3"], "sites": [1001], "max_jobs": 0}, "max_jobs"),
        ({"apps": ["app2"], "sites": [1001], "windows": ["today"]}, "today"),
    ],
)
def test_wrong_input_fails_in_one_line_and_nothing_is_queued(fill, venue_engine, config, named):
    said = failure(fill(**config))
    assert named in said
    assert "\n" not in said
    assert jobs(venue_engine) == []


def test_a_worker_shows_the_queued_members_as_partitions(fill, venue_engine, make_definitions, simulator):
    simulator.configure(app="app7", fail=1.0)
    fill(apps=["app3", "app7"], sites=[1001], members=[555])
    with DagsterInstance.ephemeral() as instance:
        job = make_definitions().resolve_job_def("event_worker")
        run = job.execute_in_process(
            instance=instance,
            run_config={
                "ops": {"work_inbox": {"config": {"until_empty": True}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            raise_on_error=False,
        )
        assert not run.success
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event]
        made, planned = (
            {
                (event.asset_key.to_user_string(), event.partition)
                for event in events
                if event.event_type is kind
            }
            for kind in (
                DagsterEventType.ASSET_MATERIALIZATION,
                DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
            )
        )
    assert made == {("app3_clue", "1001:555")}
    # a partition that is made before its plan was written needs none
    assert made | planned == {("app3_clue", "1001:555"), ("app7_customer", "1001:555")}


def test_a_dry_run_reports_and_queues_nothing(fill, venue_engine):
    assert metadata(fill(apps=["app3"], sites=[1001], members=[555], dry_run=True))["would be queued"] == 1
    assert jobs(venue_engine) == []
