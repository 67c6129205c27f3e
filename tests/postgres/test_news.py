"""News have ids in the order of their commits: whoever has read up to one has missed none below it."""

from __future__ import annotations

import threading

from sqlalchemy import Engine, text

_ALERT = text("insert into biz.ai_alerts (site_id, alert_type, message) values (1001, 'failed', :message)")
_WAITING = text(
    "select count(*) from pg_locks l join pg_stat_activity a using (pid) "
    "where l.locktype = 'advisory' and not l.granted and a.datname = current_database()"
)


def test_a_commit_with_news_waits_for_one_that_has_taken_its_number(engine: Engine) -> None:
    with engine.connect() as first:
        first.execute(_ALERT, {"message": "first"})
        # as at its commit, which is then held up: the number is taken, and nobody sees it yet
        first.execute(text("set constraints all immediate"))

        def commit_second() -> None:
            with engine.begin() as second:
                second.execute(_ALERT, {"message": "second"})

        later = threading.Thread(target=commit_second)
        later.start()
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as look:
            for _ in range(2000):
                if look.execute(_WAITING).scalar_one():
                    break
                assert later.is_alive(), "the second was committed before the first, and with a higher number"
                later.join(0.01)
            told = text("select content ->> 'message' from biz.ai_news order by id")
            assert look.execute(told).scalars().all() == []
            first.commit()
            later.join(30)
            assert look.execute(told).scalars().all() == ["first", "second"]


def test_the_number_is_taken_at_the_commit_and_not_when_the_alert_is_raised(engine: Engine) -> None:
    with engine.connect() as slow:
        slow.execute(_ALERT, {"message": "raised first, committed last"})
        with engine.begin() as quick:
            quick.execute(text("set local lock_timeout = '20s'"))
            quick.execute(_ALERT, {"message": "raised last, committed first"})
        slow.commit()
    with engine.connect() as look:
        told = look.execute(text("select content ->> 'message' from biz.ai_news order by id")).scalars()
        assert list(told) == ["raised last, committed first", "raised first, committed last"]
