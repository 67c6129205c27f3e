"""Which trigger jobs a fill gives, and which requests it refuses before it reads anything."""

from __future__ import annotations

from itertools import product

import pytest

from ai_assets.chains.fill_plan import (
    ANSWERED,
    NO_ASSISTANT,
    NO_NOTE,
    UNKNOWN_ASSISTANT,
    FillSubjects,
    box_of,
    boxes,
    plan_jobs,
)
from ai_assets.chains.fill_request import fill_request
from ai_assets.errors import InputError
from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.windows import WINDOWS

MEMBERS = ["app7", "app3", "app6", "app8"]


def planned(request, answered=None, **subjects):
    plan = plan_jobs(request, FillSubjects(**{"sites": [1001], **subjects}), answered or {})
    return [
        (job.site_id, job.member_id, job.app_chain, dict(job.payload)) for job in plan.jobs
    ], plan.left_out


def test_a_member_gets_one_job_with_the_apps_in_chain_order():
    request = fill_request(apps=MEMBERS, sites=[1001])
    jobs, _ = planned(request, members=[(1001, 555)], with_note={(1001, 555)})
    assert jobs == [(1001, 555, "app3→app6→app8→app7", {})]


def test_app6_is_not_asked_about_a_member_without_a_note():
    request = fill_request(apps=["app3", "app6"], sites=[1001])
    jobs, left_out = planned(request, members=[(1001, 555), (1001, 556)], with_note={(1001, 556)})
    assert jobs == [(1001, 555, "app3", {}), (1001, 556, "app3→app6", {})]
    assert left_out[NO_NOTE] == 1


def test_a_member_goes_before_its_pairs_each_of_which_has_a_job_of_its_own():
    request = fill_request(apps=["app5", "app4", "app3"], sites=[1001])
    jobs, left_out = planned(
        request,
        members=[(1001, 555), (1001, 556)],
        pairs={(1001, 9, 555), (1001, 7, 555), (1001, 8, 555), (1001, 7, 999)},
        assistants={(1001, 7), (1001, 9)},
    )
    assert jobs == [
        (1001, 555, "app3", {}),
        (1001, 555, "app4→app5", {"assistant_id": 7}),
        (1001, 555, "app4→app5", {"assistant_id": 9}),
        (1001, 556, "app3", {}),
    ]
    assert left_out == {UNKNOWN_ASSISTANT: 1, NO_ASSISTANT: 1}


def test_targets_with_an_answer_are_left_out_app_by_app():
    request = fill_request(apps=["app3", "app7", "app4"], sites=[1001], only_failed=True)
    answered = {"app3_clue": {(1001, "555")}, "app4_analysis": {(1001, "7_555")}}
    jobs, left_out = planned(
        request, answered, members=[(1001, 555)], pairs={(1001, 7, 555)}, assistants={(1001, 7)}
    )
    assert jobs == [(1001, 555, "app7", {})]
    assert left_out[ANSWERED] == 2


def test_a_site_is_one_job_where_its_cells_are_one_box():
    jobs, _ = planned(fill_request(apps=["app2a", "app2"], sites=[1001]))
    assert jobs == [
        (
            1001,
            None,
            "app2→app2a",
            {"apps": ["app2_finance", "app2a_finance_area"], "areas": list(AREAS), "windows": list(WINDOWS)},
        )
    ]


def test_app2_alone_is_area_all_and_windows_with_a_gap_are_two_boxes():
    request = fill_request(apps=["app2_finance"], sites=[1001], windows=["last_week", "this_month"])
    jobs, _ = planned(request)
    assert [(job[2], job[3]["areas"], job[3]["windows"]) for job in jobs] == [
        ("app2", ["all"], ["this_month"]),
        ("app2", ["all"], ["last_week"]),
    ]


@pytest.mark.parametrize(
    "cells",
    [
        set(),
        {("all", "this_month")},
        {("all", "this_month"), ("hallA", "this_month"), ("all", "last_month"), ("vip", "this_week")},
        set(product(AREAS, WINDOWS)),
        set(product(AREAS[1:], WINDOWS[2:5])) | {("all", WINDOWS[3])},
        {cell for n, cell in enumerate(product(AREAS, WINDOWS)) if n % 3},
    ],
)
def test_boxes_hold_each_cell_once_and_no_other_and_are_contiguous(cells):
    found = boxes(cells)
    held = [cell for areas, windows in found for cell in product(areas, windows)]
    assert sorted(held) == sorted(cells)
    for areas, windows in found:
        assert "".join(areas) in "".join(AREAS)
        assert "".join(windows) in "".join(WINDOWS)


def test_a_sites_job_names_its_box_and_an_event_of_a_site_is_the_whole_box():
    jobs, _ = planned(fill_request(apps=["app2a"], sites=[1001], windows=["last_week"]))
    assert box_of(jobs[0][3]) == (AREAS[1:], ("last_week",))
    assert box_of({"batch_id": "7", "windows": "today"}) == (AREAS, WINDOWS)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"sites": [1001]}, "apps"),
        ({"apps": ["app9"], "sites": [1001]}, "app9"),
        ({"apps": ["app3"]}, "sites"),
        ({"apps": ["app3"], "sites": [1001], "all_sites": True}, "all_sites"),
        ({"apps": ["app3"], "sites": [0]}, "sites"),
        ({"apps": ["app3"], "sites": [1001], "members": [2**63]}, "members"),
        ({"apps": ["app2"], "sites": [1001], "windows": ["today"]}, "today"),
        ({"apps": ["app3"], "sites": [1001], "windows": ["this_week"]}, "windows"),
        ({"apps": ["app2"], "sites": [1001], "members": [555]}, "members"),
    ],
)
def test_a_wrong_request_is_refused_by_the_name_of_what_is_wrong(asked, named):
    with pytest.raises(InputError, match=named):
        fill_request(**{"apps": [], **asked})
