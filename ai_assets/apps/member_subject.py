"""The subjects of App3 to App8: a member of a site, or an assistant and a member; and their targets.

Here: what a subject must name. Not here: whether such a member is there (`ai_assets.warehouse.people`).
Source: docs/behaviour.md, The apps; Manual runs.
"""

from __future__ import annotations

from ai_assets.apps.base import Kind, Subject, SubjectType
from ai_assets.errors import InputError

LARGEST_ID = 2**63 - 1
"""Ids are bigint in the contract's tables."""


def check_member(app_name: str, subject: Subject) -> None:
    """The subject of App3, App6, App7 and App8. Raises InputError naming the app and what is missing or wrong."""
    _check_ids(app_name, site_id=subject.site_id, member_id=subject.member_id)


def check_pair(app_name: str, subject: Subject) -> None:
    """The subject of App4 and App5. Raises InputError naming the app and what is missing or wrong."""
    _check_ids(
        app_name, site_id=subject.site_id, member_id=subject.member_id, assistant_id=subject.assistant_id
    )


def member_target(subject: Subject) -> str:
    """The target in the cache, such as `555`."""
    return str(subject.member_id)


def pair_target(subject: Subject) -> str:
    """The target in the cache: assistant, then member, such as `7_555`."""
    return f"{subject.assistant_id}_{subject.member_id}"


MEMBER = SubjectType(Kind.MEMBER, check_member, member_target)
PAIR = SubjectType(Kind.PAIR, check_pair, pair_target)


def _check_ids(app_name: str, **ids: int | None) -> None:
    # zero is what a form left empty sends
    missing = [name for name, number in ids.items() if not number]
    if missing:
        raise InputError(f"{app_name} needs {' and '.join(missing)}")
    for name, number in ids.items():
        # only numbers are quoted: any other text may hold personal data
        if isinstance(number, bool) or not isinstance(number, int):
            raise InputError(f"{app_name}: {name} is no whole number")
        if not 0 < number <= LARGEST_ID:
            raise InputError(f"{app_name}: {name} {number} is not between 1 and {LARGEST_ID}")
