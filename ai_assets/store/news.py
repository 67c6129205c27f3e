"""News of alerts and of the cache as they were committed, by an id that rises in just that order.

Whoever has read up to an id has missed none below it (the trigger in `migrations/sql` says how). Not here: hearing that
there are some (`ai_assets.store.listen`), passing them on (`ai_assets.gateway.hub`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

_NEWEST = text("select coalesce(max(id), 0) from biz.ai_news")
_OLDEST = text("select coalesce(min(id), 0) from biz.ai_news")
_AFTER = text(
    "select id, channel, site_id, content from biz.ai_news where id > :after order by id limit :limit"
)
# two walks of the index rather than an `or`, which would sort all that is left
_OF_SITE = text(
    """
    select * from (
        (select id, channel, site_id, content from biz.ai_news
            where channel = :channel and site_id = :site and id > :after order by id limit :limit)
        union all
        (select id, channel, site_id, content from biz.ai_news
            where channel = :channel and site_id is null and id > :after order by id limit :limit)
    ) n order by id limit :limit
    """
)


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


def of_site(connection: Connection, channel: str, site_id: int, position: int, limit: int) -> list[News]:
    """Those of a channel for one site (its own, and what concerns every site) above `position`, in order."""
    asked = {"channel": channel, "site": site_id, "after": position, "limit": limit}
    return _news(connection.execute(_OF_SITE, asked).mappings())


def _news(rows: Iterable[Mapping[Any, Any]]) -> list[News]:
    return [News(row["id"], row["channel"], row["site_id"], row["content"]) for row in rows]
