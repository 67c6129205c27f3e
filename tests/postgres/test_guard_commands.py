"""`ai-assets guard` as a person types it, against a database."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from ai_assets.catalog import CATALOG
from ai_assets.cli.guard import guard
from ai_assets.errors import InputError


@pytest.fixture
def type_in(db):
    def run(*arguments: str) -> Result:
        context = SimpleNamespace(engine=lambda _pool_size: db.engine)
        return CliRunner().invoke(guard, arguments, obj=context, standalone_mode=False)

    return run


def test_reset_estimate_forgets_what_the_named_apps_used_and_the_history_says_who_and_why(db, type_in):
    db.run(
        "insert into biz.ai_run_logs (app_type, site_id, target_id, trigger_type, status, tokens_used)"
        " select app, 1, 't', 'event', 'success', 90000"
        " from unnest(array['app3_clue', 'app4_analysis']) app, generate_series(1, 20)"
    )
    estimate = "select biz.ai_estimate(:app, 100, 1000000)"
    done = type_in("reset-estimate", "app3", "--reason", "wrong figures", "--by", "ann")
    assert done.exception is None
    assert db.value(estimate, app="app3_clue") == 1600
    assert db.value(estimate, app="app4_analysis") == 90000
    change = db.one("select * from biz.ai_breaker_changes")
    assert (change["app_type"], change["changed_by"]) == ("app3_clue", "ann")
    assert "wrong figures" in change["reason"]


def test_reset_estimate_takes_all_apps_and_needs_no_reason(db, type_in):
    assert type_in("reset-estimate", "all").exception is None
    assert {row["app_type"] for row in db.all("select app_type from biz.ai_estimates")} == set(CATALOG)


def test_reset_estimate_of_an_app_that_there_is_not_changes_nothing(db, type_in):
    assert isinstance(type_in("reset-estimate", "app3", "app9").exception, InputError)
    assert db.count("biz.ai_estimates") == 0
