"""`GET /healthz`, `/readyz`, `/metrics`: for who runs the gateway. No token: they tell nothing of any site."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response
from pydantic import BaseModel

from ai_assets.errors import AiAssetsError, DatabaseUnavailableError
from ai_assets.gateway.answers import answer
from ai_assets.gateway.metrics import MEDIA_TYPE
from ai_assets.gateway.problems import Problem, documented
from ai_assets.store.migrate import require_current

if TYPE_CHECKING:
    from ai_assets.gateway.parts import Parts

READY_S = 3.0


class Health(BaseModel):
    """It is well."""

    status: str


def routes(parts: Parts) -> APIRouter:
    """All three addresses."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", response_model=Health, summary="Whether the process answers")
    async def healthz() -> Response:
        """Says nothing of Postgres: a gateway that waits for it must not be restarted for that."""
        return answer({"status": "ok"})

    @router.get(
        "/readyz",
        response_model=Health,
        responses={503: documented()[503]},
        summary="Whether Postgres is there, with the tables that this code needs, and news come at once",
    )
    async def readyz() -> Response:
        """503 where requests would fail."""
        try:
            async with asyncio.timeout(READY_S):
                await parts.database.read("looking whether it is there", require_current)
        except (DatabaseUnavailableError, TimeoutError):
            raise Problem(503, "database-unavailable", "the database cannot be reached now") from None
        except AiAssetsError:
            raise Problem(
                503, "not-configured", "the database has not the tables that this code needs"
            ) from None
        if not parts.hub.ready:
            raise Problem(503, "busy", "news from the database are not heard yet")
        return answer({"status": "ready"})

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        summary="Figures for Prometheus",
    )
    async def metrics() -> Response:
        """Text format 0.0.4."""
        return Response(parts.metrics.page(), media_type=MEDIA_TYPE)

    return router
