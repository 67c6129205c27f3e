"""What a site's admin web reads: results, a member's clues, alerts. Not here: news as they happen (`sockets`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from ai_assets.catalog import CATALOG
from ai_assets.gateway.access import check_site, holder_with
from ai_assets.gateway.answers import answer
from ai_assets.gateway.bodies import TokenRoute
from ai_assets.gateway.problems import Problem, documented
from ai_assets.gateway.shapes import Alert, Alerts, CacheAnswer, Clues
from ai_assets.store import alerts, cache, clues, news
from ai_assets.store.tokens import LARGEST_ID, Token

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_assets.gateway.parts import Parts
    from ai_assets.store.cache import CacheEntry

SiteId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
Reader = Annotated[Token, Depends(holder_with("read"))]
MOST_CLUES = 500
CacheType = StrEnum("CacheType", {entry.cache_type: entry.cache_type for entry in CATALOG.values()})  # type: ignore[misc]
ALERT_TYPES = (
    "circuit_open",
    "rate_limited",
    "budget_exceeded",
    "timeout",
    "failed",
    "budget_warning",
    "app_blocked",
    "bad_batch",
    "dead",
)
AlertType = StrEnum("AlertType", {name: name for name in ALERT_TYPES})  # type: ignore[misc]


def routes(parts: Parts) -> APIRouter:
    """All three addresses."""
    router = APIRouter(tags=["results"], route_class=TokenRoute)

    @router.get(
        "/sites/{site_id}/cache/{cache_type}/{target_id}",
        response_model=CacheAnswer,
        responses=documented(404),
        summary="The newest result of a target",
    )
    async def newest(
        site_id: SiteId,
        cache_type: CacheType,
        target_id: Annotated[str, Path(pattern=r"^[0-9A-Za-z_]{1,100}$", examples=["555", "7_555"])],
        token: Reader,
        history: Annotated[int, Query(ge=0, le=100, description="So many versions before it, too")] = 0,
    ) -> Response:
        """With its age, what was checked of it, and what it was made from."""
        check_site(token, site_id)
        found = await parts.database.read(
            "reading the cache",
            lambda connection: cache.history(connection, str(cache_type), site_id, target_id, history + 1),
        )
        if not found:
            raise Problem(404, "not-found", f"there is no {cache_type} of {target_id} at site {site_id} yet")
        now = datetime.now(UTC)
        shown = version(found[0], now)
        if history:
            shown["history"] = [version(entry, now) for entry in found[1:]]
        return answer(shown)

    @router.get(
        "/sites/{site_id}/clues/{member_id}",
        response_model=Clues,
        responses=documented(),
        summary="A member's retention clues",
    )
    async def of_member(
        site_id: SiteId, member_id: Annotated[int, Path(ge=1, le=LARGEST_ID)], token: Reader
    ) -> Response:
        """Of every source, newest first."""
        check_site(token, site_id)
        found = await parts.database.read(
            "reading clues", lambda connection: clues.of_member(connection, site_id, member_id, MOST_CLUES)
        )
        return answer({"clues": found})

    @router.get(
        "/sites/{site_id}/alerts", response_model=Alerts, responses=documented(), summary="A site's alerts"
    )
    async def of_site(
        site_id: SiteId,
        token: Reader,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        before: Annotated[
            int | None, Query(ge=1, le=LARGEST_ID, description="Only alerts of a lower id: the next page")
        ] = None,
        alert_type: AlertType | None = None,
    ) -> Response:
        """And those that concern every site, newest first."""
        check_site(token, site_id)
        kind = None if alert_type is None else str(alert_type)

        def look(connection: Connection) -> dict[str, Any]:
            rows = alerts.of_site(connection, site_id, limit=limit, before=before, alert_type=kind)
            return {"alerts": [_alert(row) for row in rows], "since": news.newest(connection)}

        return answer(await parts.database.at_one_moment("reading alerts", look))

    return router


def version(entry: CacheEntry, now: datetime) -> dict[str, Any]:
    """One version as it is shown; `now` is aware."""
    content = dict(entry.result_json)
    references = content.pop("_references", None)
    references = dict(references) if isinstance(references, Mapping) else None
    checks = references.pop("checks", None) if references is not None else None
    return {
        "id": entry.id,
        "cache_type": entry.cache_type,
        "site_id": entry.site_id,
        "target_id": entry.target_id,
        "result": content,
        "references": references,
        "checks": checks,
        "score": entry.score,
        "triggered_by": entry.triggered_by,
        "trigger_job_id": entry.trigger_job_id,
        "run_log_id": entry.run_log_id,
        "created_at": entry.created_at,
        "age_s": round(max(0.0, (now - entry.created_at).total_seconds()), 3),
    }


def _alert(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in Alert.model_fields}
