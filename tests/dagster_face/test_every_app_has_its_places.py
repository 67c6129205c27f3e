"""Every app stands in each list that it must be entered in; docs/apps.md says which. A list forgotten fails here.

Not here: what the apps do, that the contract's eight are there (tests/apps/test_app_registry.py).
"""

from __future__ import annotations

from typing import Any

import pytest

from ai_assets.apps.base import App
from ai_assets.apps.registry import APPS, FINANCE_APPS, MEMBER_APPS, PAIR_APPS
from ai_assets.assets.assistants import assistants
from ai_assets.assets.members import members
from ai_assets.catalog import ALIASES
from ai_assets.chains.member_steps import RETENTION_CLUE
from ai_assets.simulator import replies


def test_every_app_is_about_a_site_a_member_or_a_pair_and_about_one_of_them_alone() -> None:
    assert sorted([*FINANCE_APPS, *MEMBER_APPS, *PAIR_APPS]) == sorted(APPS)


def test_every_asset_of_members_and_of_pairs_is_a_step_that_its_run_makes() -> None:
    # one that is none would be chosen, not run, and its run would end green
    assert {key.to_user_string() for key in members.keys} == {*MEMBER_APPS, RETENTION_CLUE}
    assert {key.to_user_string() for key in assistants.keys} == set(PAIR_APPS)


def test_both_checks_of_every_app_stand_at_its_asset() -> None:
    for made_by, steps in ((members, MEMBER_APPS), (assistants, PAIR_APPS)):
        checked = sorted(key.asset_key.to_user_string() for key in made_by.check_keys)
        assert checked == sorted([*steps, *steps])


def test_every_app_is_known_to_the_settings_and_to_the_simulator() -> None:
    aliases = {app.entry.alias for app in APPS.values()}
    assert aliases == ALIASES
    assert aliases == set(replies.APPS)
    for alias in aliases:
        assert replies.answer(1, alias, "{}")


@pytest.mark.parametrize("app", APPS.values(), ids=APPS)
def test_what_the_simulator_answers_fits_the_apps_schema(app: App[Any]) -> None:
    for prompt in ("{}", '{"会员": {"等级": "金卡"}, "消费记录": {"到店次数": 12, "消费金额": 345.5}}'):
        app.answer.model_validate(replies.answer(1, app.entry.alias, prompt))
