"""A site's own clock: its zone, the end of one of its days, a time as its staff would read it.

Here: zone arithmetic. Not here: business dates (the source books them), the clock (no `now` in here).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ai_assets.errors import WarehouseError

if TYPE_CHECKING:
    from ai_assets.warehouse.sites import Site


def zone_of(site: Site) -> ZoneInfo:
    """The site's time zone. Raises WarehouseError if `biz.sites` names one that does not exist."""
    try:
        return ZoneInfo(site.timezone)
    # ValueError: an absolute path or a NUL; OSError: the name of a folder of the database
    except (KeyError, ValueError, OSError) as error:
        raise WarehouseError(
            f"biz.sites.timezone of site {site.site_id} is {site.timezone[:60]!r}, which is no time zone: "
            "correct it to an IANA name such as Asia/Shanghai"
        ) from error


def end_of(site: Site, day: date) -> datetime:
    """The instant (aware, UTC) at which this calendar day of the site is over."""
    return datetime.combine(day + timedelta(days=1), time(0), zone_of(site)).astimezone(UTC)
