"""What docs/operations.md says of an earlier dispatcher's table is run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import create_engine, text

from ai_assets.store import cache
from ai_assets.store.migrate import upgrade

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("**Moving over")[2].partition("## Roles")[0]


def test_answers_of_an_earlier_table_are_seen_until_they_are_made_anew(empty_database_url: str) -> None:
    (rename,) = re.findall(r"`(alter table [^`]*)`", SECTION)
    (copy,) = re.findall(r"```sql\n(.*?)```", SECTION, re.DOTALL)
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("create schema biz"))
        connection.execute(
            text(
                "create table biz.ai_cache (cache_type text, site_id bigint, target_id text, result_json jsonb)"
            )
        )
        connection.execute(
            text("insert into biz.ai_cache values ('app3_clue', 1001, '555', '{\"clues\": []}')")
        )
        connection.execute(text(rename))
    upgrade(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text(copy))
        found = cache.latest(connection, "app3_clue", 1001, "555")
        assert found is not None
        assert (found.result_json, found.triggered_by) == ({"clues": []}, "moved_over")
        # no prompt is like the one behind it: the first run calls
        again = cache.reusable(
            connection,
            app="app3_clue",
            cache_type="app3_clue",
            site_id=1001,
            target_id="555",
            prompt_hash="0" * 64,
        )
        assert again is None
    engine.dispose()
