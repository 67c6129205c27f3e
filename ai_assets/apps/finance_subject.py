"""The subject of App2 and App2a: a site, a time window and an area, and which of the two apps it is for.

Source: docs/behaviour.md, Manual runs.
"""

from __future__ import annotations

from ai_assets.apps.base import Subject
from ai_assets.catalog import CATALOG
from ai_assets.errors import InputError
from ai_assets.warehouse.areas import ALL, AREAS, check_area_name
from ai_assets.warehouse.windows import WINDOWS, check_window_name

APP2 = CATALOG["app2_finance"]
APP2A = CATALOG["app2a_finance_area"]


def check_whole_site(app_name: str, subject: Subject) -> None:
    """App2's subject; no area means `all`. Raises InputError saying what is missing or wrong."""
    _check_site_and_window(app_name, subject)
    if subject.area is None:
        return
    check_area_name(subject.area)
    if subject.area != ALL:
        raise InputError(
            f"{app_name} is for area {ALL} only: area {subject.area} belongs to {APP2A.name}, run that one"
        )


def check_one_area(app_name: str, subject: Subject) -> None:
    """App2a's subject. Raises InputError saying what is missing or wrong."""
    _check_site_and_window(app_name, subject)
    if not subject.area:
        raise InputError(f"{app_name} needs an area: one of {', '.join(a for a in AREAS if a != ALL)}")
    check_area_name(subject.area)
    if subject.area == ALL:
        raise InputError(f"{app_name} is not for area {ALL}: that belongs to {APP2.name}, run that one")


def target_id(subject: Subject) -> str:
    """The target in the cache, such as `last_week__hallA`."""
    return f"{subject.window}__{subject.area or ALL}"


def _check_site_and_window(app_name: str, subject: Subject) -> None:
    if not subject.site_id:
        raise InputError(f"{app_name} needs a site")
    if not subject.window:
        raise InputError(f"{app_name} needs a time window: one of {', '.join(WINDOWS)}")
    check_window_name(subject.window)
