"""The feed: alerts and cache updates as they were committed, by an id that rises in the order of the commits.

A reader who has read up to an id has missed none below it (`biz.ai_add_news` says how). Triggers add the rows of
alerts and new answers; `report_reused` adds that of a reused answer. Not here: waiting for notifications
(`ai_assets.store.listen`), the WebSockets (`ai_assets.gateway.hub`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from ai_assets.store.engine import autocommitting, first_line

logger = logging.getLogger(__name__)

_NEWEST = text("select coalesce(max(id), 0) from biz.ai_news")
_OLDEST = text("select coalesce(min(id), 0) from biz.ai_news")
_AFTER = text(
    "select id, channel, site_id, content from biz.ai_news where id > :after order by id limit :limit"
)
# two walks of the index for each channel rather than an `or`, which would sort all that is left
_OF_SITE = text(
    """
    select n.id, n.channel, n.site_id, n.content
    from unnest(cast(:channels as text[])) as c(channel)
    cross join lateral (
        (select * from biz.ai_news
            where channel = c.channel and site_id = :site and id > :after order by id limit :limit)
        union all
        (select * from biz.ai_news
            where channel = c.channel and site_id is null and id > :after order by id limit :limit)
    ) n order by n.id limit :limit
    """
)
_REUSED = text("select biz.ai_tell_reused(:cache_id, :triggered_by)")


@dataclass(frozen=True)
class News:
    """One piece. `site_id` None: it concerns every site. `content` as in docs/gateway.md."""

    id: int
    channel: str
    site_id: int | None
    content: dict[str, Any]


def newest(connection: Connection) -> int:
    """The id of the newest, 0 where there was never any: what comes later is above it."""
    return int(connection.execute(_NEWEST).scalar_one())


def oldest(connection: Connection) -> int:
    """The id of the oldest that is still kept, 0 where there is none."""
    return int(connection.execute(_OLDEST).scalar_one())


def after(connection: Connection, position: int, limit: int) -> list[News]:
    """Those of all sites and channels above `position`, at most `limit`, in order."""
    return _news(connection.execute(_AFTER, {"after": position, "limit": limit}).mappings())


def of_site(
    connection: Connection, channels: Collection[str], site_id: int, position: int, limit: int
) -> list[News]:
    """Those of these channels for one site (its own, and what concerns every site) above `position`, in order."""
    asked = {"channels": sorted(channels), "site": site_id, "after": position, "limit": limit}
    return _news(connection.execute(_OF_SITE, asked).mappings())


def report_reused(engine: Engine, cache_id: int, triggered_by: str) -> None:
    """Notify listeners and add a feed row: this cached answer was reused. An error is logged and never raised."""
    try:
        with autocommitting(engine) as connection:
            connection.execute(_REUSED, {"cache_id": cache_id, "triggered_by": triggered_by})
    except SQLAlchemyError as error:
        logger.warning("the reuse of cached answer %s could not be reported: %s", cache_id, first_line(error))


def _news(rows: Iterable[Mapping[Any, Any]]) -> list[News]:
    return [News(row["id"], row["channel"], row["site_id"], row["content"]) for row in rows]
