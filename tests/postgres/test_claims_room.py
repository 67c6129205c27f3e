"""A site's jobs wait in the inbox while its rate has no room for a whole chain: there they lose nothing."""

from __future__ import annotations

import pytest

from ai_assets.store import claims


class Site:
    """A site with members who wait, and a rate of which some is taken."""

    def __init__(self, db):
        self.db = db

    def waiting(self, members: int, *, site: int = 1) -> None:
        self.db.run(
            "insert into biz.ai_trigger_jobs (event_type, site_id, member_id) "
            "select 'note_created', :site, m from generate_series(1, :members) m",
            site=site,
            members=members,
        )

    def taken(self, calls: int, *, seconds_ago: float, site: int = 1) -> None:
        last = self.db.value(
            "select coalesce(max(place), 0) from biz.ai_rate_places where site_id = :s", s=site
        )
        self.db.run(
            "insert into biz.ai_rate_places (site_id, place, taken_at) select :site, :last + n, "
            "clock_timestamp() - make_interval(secs => :ago) from generate_series(1, :calls) n",
            site=site,
            last=last,
            ago=seconds_ago,
            calls=calls,
        )
        self.db.run(
            "insert into biz.ai_rate_limits (site_id, last_place) values (:site, :last) "
            "on conflict (site_id) do update set last_place = excluded.last_place",
            site=site,
            last=last + calls,
        )

    def claimed(self, rate: int | None, limit: int = 50) -> int:
        with self.db.engine.begin() as connection:
            jobs = claims.claim_member_jobs(
                connection,
                owner="w1",
                run_id=None,
                lease_s=60.0,
                limit=limit,
                after_site=None,
                rate_per_minute=rate,
            )
        return len(jobs)


@pytest.fixture
def site(db) -> Site:
    return Site(db)


@pytest.mark.parametrize(("rate", "chains"), [(None, 30), (60, 12), (25, 5), (9, 1), (1, 1)])
def test_as_many_chains_run_as_the_rate_has_five_calls_for_and_always_one(site, rate, chains):
    site.waiting(30)
    assert site.claimed(rate) == chains
    assert site.claimed(rate) == 0 or rate is None


def test_calls_of_the_last_minute_leave_less_room_and_older_ones_none_the_less(site):
    site.waiting(30)
    site.taken(40, seconds_ago=61)
    site.taken(40, seconds_ago=30)
    assert site.claimed(60) == 4


def test_a_site_without_room_leaves_its_turn_to_the_others(site):
    site.waiting(10)
    site.waiting(10, site=2)
    site.taken(60, seconds_ago=1)
    assert site.claimed(60) == 10
    assert (
        site.db.value("select count(*) from biz.ai_trigger_jobs where status = 'running' and site_id = 2")
        == 10
    )
