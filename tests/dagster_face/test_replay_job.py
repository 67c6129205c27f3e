"""The job `replay`: the same filter, pace and rules as the command, from the launchpad."""

from __future__ import annotations

import pytest
from dagster import DagsterInstance
from sqlalchemy import text

from ai_assets.store import inbox


@pytest.fixture
def replay_run(make_definitions, venue_engine):
    """Run the job with this config; its result."""

    def run(**config):
        job = make_definitions().resolve_job_def("replay")
        with DagsterInstance.ephemeral() as instance:
            return job.execute_in_process(
                instance=instance,
                run_config={
                    "ops": {"replay_jobs": {"config": config}},
                    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                },
                raise_on_error=False,
            )

    return run


def failure(result) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data.user_failure_data.description


def metadata(result) -> dict:
    (event,) = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
    return {name: value.value for name, value in event.event_specific_data.metadata.items()}


def dead(engine, member: int) -> int:
    with engine.begin() as connection:
        job_id = inbox.fire(connection, "consumption", site_id=1001, member_id=member)
        connection.execute(
            text("update biz.ai_trigger_jobs set status = 'dead' where id = :id"), {"id": job_id}
        )
    return job_id


def count(engine) -> int:
    with engine.connect() as connection:
        return connection.execute(text("select count(*) from biz.ai_trigger_jobs")).scalar_one()


def test_it_replays_dead_jobs_by_site_and_twice_changes_nothing(replay_run, venue_engine):
    jobs = [dead(venue_engine, member) for member in (555, 556)]
    result = replay_run(sites=[1001], rate="600/s")
    assert result.success
    assert metadata(result)["replayed"] == 2
    with venue_engine.connect() as connection:
        made = list(connection.execute(text(
            "select replay_of from biz.ai_trigger_jobs where status = 'pending' order by id")).scalars())  # fmt: skip
    assert made == jobs
    again = replay_run(sites=[1001])
    assert again.success
    assert metadata(again)["chosen"] == 0
    assert count(venue_engine) == 4


def test_a_dry_run_says_which_and_does_nothing(replay_run, venue_engine):
    job = dead(venue_engine, 555)
    result = replay_run(states=["dead"], dry_run=True)
    assert metadata(result) == {"would be replayed": 1, "jobs": [job]}
    assert count(venue_engine) == 1


def test_without_any_condition_or_with_a_wrong_one_it_fails_in_one_line_and_does_nothing(
    replay_run, venue_engine
):
    dead(venue_engine, 555)
    assert "say which jobs" in failure(replay_run())
    assert "there is no state borken" in failure(replay_run(states=["borken"]))
    assert "30/min" in failure(replay_run(states=["dead"], rate="often"))
    assert count(venue_engine) == 1


def test_a_job_that_cannot_be_replayed_makes_the_run_fail_and_the_others_are(replay_run, venue_engine):
    job = dead(venue_engine, 555)
    result = replay_run(ids=[987654, job])
    assert "1 could not be replayed" in failure(result)
    assert count(venue_engine) == 2
