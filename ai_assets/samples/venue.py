"""The generated venue: a chain of billiard halls with believable days, the same on every machine.

Here: putting the days together and loading them. Not here: what a day is like (`venue_*`), writing
(`loading`). What holds of the figures: docs/data-contract.md.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from ai_assets.errors import InputError
from ai_assets.samples.loading import LoadSummary, Progress, Sample, write_sample
from ai_assets.samples.rows import Site
from ai_assets.samples.venue_calendar import OPENING_DAY
from ai_assets.samples.venue_finance import area_days, etl_batches, site_day
from ai_assets.samples.venue_notes import notes_of_day, tasks_of_day
from ai_assets.samples.venue_people import Member, assistants_of, members_between
from ai_assets.samples.venue_sites import MAX_SITES, TIMEZONE, VenueSite, venue_site
from ai_assets.samples.venue_visits import settlements_of, visits_of_day

DATASET = "venue"

Rows = dict[str, list[tuple[Any, ...]]]


def load_venue(
    engine: Engine,
    *,
    sites: int = 3,
    days: int = 400,
    end: date,
    seed: int = 20,
    progress: Progress | None = None,
) -> LoadSummary:
    """Fill the contract's tables with `days` business dates up to `end` of `sites` sites (1001, 1002, …).

    The same twice changes nothing, and a later `end` leaves older days as they were (only the status of
    tasks moves on). Another seed belongs into another database. Raises InputError for numbers out of range
    or a site id in use, and what `write_sample` raises.
    """
    sample = make_venue(sites=sites, days=days, end=end, seed=seed, progress=progress)
    return write_sample(engine, sample, progress)


def make_venue(
    *, sites: int, days: int, end: date, seed: int = 20, progress: Progress | None = None
) -> Sample:
    """The whole sample in memory. The figures of a site and date depend on these two and the seed alone."""
    require_size(sites=sites, days=days, end=end)
    tell = progress or (lambda _line: None)
    first_day = end - timedelta(days=days - 1)
    rows: list[Rows] = []
    chosen = [venue_site(seed, number) for number in range(sites)]
    for site in chosen:
        tell(f"{DATASET}: making site {site.site_id} {site.name} ({first_day} to {end})")
        rows.append(_site_rows(seed, site, first_day, end))
    return Sample(
        dataset=DATASET,
        sites=[Site(site.site_id, site.name, TIMEZONE, is_active=True) for site in chosen],
        rows={table: list(chain.from_iterable(one[table] for one in rows)) for table in rows[0]},
        first_day=first_day,
        last_day=end,
    )


def require_size(*, sites: int, days: int, end: date) -> None:
    """Raise InputError unless the venue can be made in this size."""
    if not 1 <= sites <= MAX_SITES:
        raise InputError(f"the venue has 1 to {MAX_SITES} sites, not {sites}")
    most = (end - OPENING_DAY).days + 1
    if not 1 <= days <= most:
        raise InputError(
            f"the venue opened on {OPENING_DAY}: 1 to {max(most, 0)} days up to {end}, not {days}"
        )


def last_finished_day(now: datetime) -> date:
    """The newest business date whose ETL batch has finished by `now` (aware): yesterday, after four."""
    # the sample's batches finish before 04:00 of the day after; one from the future would be no fact yet
    return (now.astimezone(ZoneInfo(TIMEZONE)) - timedelta(hours=4)).date() - timedelta(days=1)


def _site_rows(seed: int, site: VenueSite, first_day: date, end: date) -> Rows:
    members = members_between(seed, site.site_id, first_day, end)
    assistants = assistants_of(seed, site.site_id)
    rows: Rows = {
        "biz.members": [member.row() for member in members],
        "biz.assistants": list(assistants),
        "biz.member_notes": [],
        "biz.assistant_tasks": [],
        "dws.finance_area_daily": [],
        "dws.finance_site_daily": [],
        "dws.settlement": [],
        "dws.etl_batch": [],
    }
    for offset in range((end - first_day).days + 1):
        day = first_day + timedelta(days=offset)
        _add_day(rows, seed, site, day, members)
        rows["biz.assistant_tasks"].extend(tasks_of_day(seed, site, day, end, members))
    return rows


def _add_day(rows: Rows, seed: int, site: VenueSite, day: date, members: list[Member]) -> None:
    visits = visits_of_day(seed, site, day, members)
    rows["dws.settlement"].extend(settlements_of(site, day, visits))
    rows["dws.finance_area_daily"].extend(area_days(seed, site, day, visits))
    whole = site_day(seed, site, day, visits, members)
    rows["dws.finance_site_daily"].extend([whole] if whole is not None else [])
    rows["biz.member_notes"].extend(notes_of_day(seed, site, day, visits, assistants_of(seed, site.site_id)))
    rows["dws.etl_batch"].extend(etl_batches(seed, site, day))
