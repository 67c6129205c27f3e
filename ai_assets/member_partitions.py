"""Partition keys of members and of pairs (assistant and member): their form, and the definitions that hold them.

Here: pure rules about keys. Not here: the keys of `app2_finance` (`ai_assets.partitions`), assets, adding keys.
"""

from __future__ import annotations

import re

from dagster import DynamicPartitionsDefinition

from ai_assets.errors import InputError

MEMBERS = "members"
"""Name of the dynamic partitions that hold `site:member` keys."""
ASSISTANT_MEMBERS = "assistant_members"
"""Name of the dynamic partitions that hold `site:assistant_member` keys."""

members_def = DynamicPartitionsDefinition(name=MEMBERS)
assistant_members_def = DynamicPartitionsDefinition(name=ASSISTANT_MEMBERS)

LARGEST_ID = 2**63 - 1
_ID = "[1-9][0-9]{0,18}"
_MEMBER_KEY = re.compile(f"({_ID}):({_ID})")
_PAIR_KEY = re.compile(f"({_ID}):({_ID})_({_ID})")


def member_key(site_id: int, member_id: int) -> str:
    """`1001:555`. Raises InputError for an id that is not from 1 to 2**63 - 1."""
    return f"{_checked('site', site_id)}:{_checked('member', member_id)}"


def pair_key(site_id: int, assistant_id: int, member_id: int) -> str:
    """`1001:7_555`. Raises InputError for an id that is not from 1 to 2**63 - 1."""
    pair = f"{_checked('assistant', assistant_id)}_{_checked('member', member_id)}"
    return f"{_checked('site', site_id)}:{pair}"


def parse_member_key(key: str) -> tuple[int, int]:
    """(site id, member id) of a key. Raises InputError naming the key and its form."""
    ids = _ids(_MEMBER_KEY, key)
    if ids is None:
        raise InputError(f"member key {key!r} is not of the form SITE:MEMBER, such as 1001:555")
    site_id, member_id = ids
    return site_id, member_id


def parse_pair_key(key: str) -> tuple[int, int, int]:
    """(site id, assistant id, member id) of a key. Raises InputError naming the key and its form."""
    ids = _ids(_PAIR_KEY, key)
    if ids is None:
        raise InputError(f"pair key {key!r} is not of the form SITE:ASSISTANT_MEMBER, such as 1001:7_555")
    site_id, assistant_id, member_id = ids
    return site_id, assistant_id, member_id


def partitions_of(key: str) -> str:
    """The name of the dynamic partitions that this key belongs to. Raises InputError where it is of no form."""
    if _ids(_MEMBER_KEY, key) is not None:
        return MEMBERS
    if _ids(_PAIR_KEY, key) is not None:
        return ASSISTANT_MEMBERS
    raise InputError(
        f"key {key!r} is neither of the form SITE:MEMBER, such as 1001:555, "
        "nor SITE:ASSISTANT_MEMBER, such as 1001:7_555"
    )


def _ids(form: re.Pattern[str], key: str) -> list[int] | None:
    match = form.fullmatch(key)
    if match is None:
        return None
    ids = [int(part) for part in match.groups()]
    return ids if max(ids) <= LARGEST_ID else None


def _checked(what: str, number: int) -> int:
    if not 1 <= number <= LARGEST_ID:
        raise InputError(f"{what} id {number} is not a whole number from 1 to 2**63 - 1")
    return number
