"""The checks on each partition: what a step's result means for them, and that Dagster keeps one for each cell."""

from __future__ import annotations

from typing import Any

import pytest
from dagster import AssetCheckKey, AssetCheckSeverity, AssetKey, DagsterInstance
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

from ai_assets.apps.base import Subject
from ai_assets.assets.checks import GROUNDED, SCHEMA, CheckLimits, evaluations
from ai_assets.assets.event_writer import report_checks
from ai_assets.chains.outcome import Outcome, StepResult
from ai_assets.dashscope.reading import UNREADABLE_REASONS
from ai_assets.partitions import range_tags
from ai_assets.settings import Settings
from ai_assets.simulator.server import Simulator

FINANCE = AssetKey("app2_finance")
CELL = "1001:hallA|this_week"
OK, WARN, ERROR = "passed", AssetCheckSeverity.WARN, AssetCheckSeverity.ERROR
STRICT = {"how": "strict", "mended": []}


def numbers(figures: int, wrong: int) -> dict[str, Any]:
    listed = [
        {"path": "insights.0.body", "start": 0, "end": 2, "text": "98", "value": "98", "nearest": "89"}
    ] * wrong
    share = 1.0 if not figures else round(1 - wrong / figures, 4)
    return {"figures": figures, "share": share, "ungrounded": listed, "left_out": 0}


def step(outcome: Outcome = Outcome.SUCCESS, checks: dict[str, Any] | None = None, **more: Any) -> StepResult:
    references = {} if checks is None else {"checks": checks}
    result = {"insights": [], "_references": references} if outcome.has_result else {}
    return StepResult(
        app="app2a_finance_area",
        subject=Subject(1001, window="this_week", area="hallA"),
        target_id="this_week:hallA",
        outcome=outcome,
        result=result,
        **more,
    )


def verdicts(result: StepResult, limits: CheckLimits | None = None) -> dict[str, Any]:
    found = evaluations(FINANCE, CELL, result, limits or CheckLimits())
    assert {(one.asset_key, one.partition) for one in found} <= {(FINANCE, CELL)}
    return {one.check_name: OK if one.passed else one.severity for one in found}


@pytest.mark.parametrize(("how", "verdict"), [("strict", OK), ("fenced", OK), ("repaired", WARN)])
def test_how_an_answer_was_read_is_green_or_amber(how, verdict):
    checks = {"reading": {"how": how, "mended": ["a comma was added"]}, "numbers": None}
    assert verdicts(step(checks=checks)) == {SCHEMA: verdict}


@pytest.mark.parametrize("reason", sorted(UNREADABLE_REASONS))
def test_an_answer_that_could_not_be_read_is_red_though_there_is_no_result(reason):
    failed = step(Outcome.FAILED, reason=reason, message="the answer breaks its schema", run_log_id=7)
    assert verdicts(failed) == {SCHEMA: ERROR}
    (found,) = evaluations(FINANCE, CELL, failed, CheckLimits())
    assert (found.description, found.metadata["run log"].value) == ("the answer breaks its schema", "7")


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome.FAILED, "server_error"),
        (Outcome.FAILED, "answer_refused"),
        (Outcome.REFUSED, "circuit_open"),
        (Outcome.TIMEOUT, "timeout"),
    ],
)
def test_a_step_that_failed_for_another_reason_says_nothing_of_the_checks(outcome, reason):
    assert verdicts(step(outcome, reason=reason)) == {}


@pytest.mark.parametrize(
    ("figures", "wrong", "verdict"), [(0, 0, OK), (8, 0, OK), (8, 1, WARN), (10, 3, WARN), (10, 4, ERROR)]
)
def test_the_share_of_grounded_figures_is_green_amber_or_red(figures, wrong, verdict):
    checks = {"reading": STRICT, "numbers": numbers(figures, wrong)}
    assert verdicts(step(checks=checks)) == {SCHEMA: OK, GROUNDED: verdict}


def test_the_limits_are_the_environments():
    limits = CheckLimits.from_settings(Settings(AI_GROUNDED_WARN_BELOW=0.9, AI_GROUNDED_ERROR_BELOW=0.5))
    shares = {(10, 1): OK, (10, 2): WARN, (10, 5): WARN, (10, 6): ERROR}
    for (figures, wrong), verdict in shares.items():
        checks = {"reading": STRICT, "numbers": numbers(figures, wrong)}
        assert verdicts(step(checks=checks), limits)[GROUNDED] == verdict


def test_the_figures_to_look_at_are_listed_with_their_place_and_the_nearest():
    found = evaluations(
        FINANCE, CELL, step(checks={"reading": STRICT, "numbers": numbers(8, 1)}), CheckLimits()
    )
    grounded = found[1]
    assert grounded.description == (
        "1 of 8 figures neither stand in the prompt nor follow from it: 98 (insights.0.body, nearest 89)"
    )
    assert "| 98 | insights.0.body | 89 |" in grounded.metadata["figures not grounded"].value


def test_an_answer_that_was_asked_for_again_says_why_and_where_the_first_is():
    again = {"how": "strict", "mended": [], "asked_again": {"reason": "schema", "run_log_id": 41}}
    (found,) = evaluations(FINANCE, CELL, step(checks={"reading": again, "numbers": None}), CheckLimits())
    assert found.metadata["asked again because"].value == "schema"
    assert found.metadata["run log of the first call"].value == "41"


def test_a_reused_answer_has_the_checks_of_when_it_was_new_and_one_of_before_has_none():
    checks = {"reading": STRICT, "numbers": numbers(8, 1)}
    assert verdicts(step(Outcome.REUSED, checks)) == {SCHEMA: OK, GROUNDED: WARN}
    assert verdicts(step(Outcome.REUSED)) == {}


def statuses(instance: DagsterInstance, name: str) -> dict[str | None, Status]:
    """Of each partition of app2_finance, the newest status of a check."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(FINANCE, name), limit=1000
    )
    return {record.partition: record.status for record in reversed(records)}


def test_a_sites_run_has_both_checks_on_each_of_its_cells(run_site, instance: DagsterInstance):
    assert run_site(tags=range_tags(1001)).success
    for name in (SCHEMA, GROUNDED):
        found = statuses(instance, name)
        assert len(found) == 72
        assert set(found.values()) == {Status.SUCCEEDED}


def test_only_the_cells_whose_answer_could_not_be_read_have_a_red_check(
    run_site, simulator: Simulator, instance: DagsterInstance
):
    simulator.configure("app2", kind="wrong_schema", fail=1.0)
    assert not run_site(tags=range_tags(1001)).success
    found = statuses(instance, SCHEMA)
    # the breaker opened meanwhile: what was refused was not checked, and stays planned
    red = {cell for cell, status in found.items() if status is Status.FAILED}
    assert red
    assert red <= {cell for cell in found if cell.startswith("1001:all|")}
    assert {status for cell, status in found.items() if not cell.startswith("1001:all|")} == {
        Status.SUCCEEDED
    }
    assert len(found) == 72


@pytest.mark.parametrize(
    ("kind", "check", "severity"),
    [
        ("wrong_figure", GROUNDED, WARN),
        ("wrong_figures", GROUNDED, ERROR),
        ("single_quotes", SCHEMA, WARN),
        ("length", SCHEMA, ERROR),
        ("not_json", SCHEMA, ERROR),
    ],
)
def test_an_app_that_errs_marks_its_cell_and_no_other(
    run_site, simulator: Simulator, instance: DagsterInstance, kind, check, severity
):
    simulator.configure("app2a", kind=kind, fail=1.0)
    run_site(partition_key="1001:hallA|this_month")
    run_site(partition_key="1001:all|this_month")
    records = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(FINANCE, check), limit=10
    )
    found = {record.partition: record.event.dagster_event.asset_check_evaluation_data for record in records}
    assert found["1001:all|this_month"].passed
    red_or_amber = found["1001:hallA|this_month"]
    assert (red_or_amber.passed, red_or_amber.severity) == (False, severity)


def test_reports_of_no_run_may_come_again_for_a_partition(postgres_instance: DagsterInstance):
    good, bad = ({"reading": STRICT, "numbers": numbers(8, wrong)} for wrong in (0, 4))
    for checks in (good, bad):
        report_checks(postgres_instance, evaluations(FINANCE, CELL, step(checks=checks), CheckLimits()))
    assert statuses(postgres_instance, GROUNDED) == {CELL: Status.FAILED}
    assert statuses(postgres_instance, SCHEMA) == {CELL: Status.SUCCEEDED}
