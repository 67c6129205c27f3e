"""The gateway as an ASGI app: its parts put together, its routes, its OpenAPI. Not here: serving it (`server`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ai_assets.gateway import clues, docs_page, events, health, reads, runs, sockets
from ai_assets.gateway.access import Rates, TokenBook
from ai_assets.gateway.bodies import HELD_BYTES
from ai_assets.gateway.database import Database
from ai_assets.gateway.door import IN_FLIGHT, Door
from ai_assets.gateway.hub import Hub
from ai_assets.gateway.intake import Intake
from ai_assets.gateway.metrics import Metrics
from ai_assets.gateway.parts import Parts
from ai_assets.gateway.problems import ProblemBody, install
from ai_assets.gateway.quota import Quota
from ai_assets.gateway.runner import Runner
from ai_assets.store import tokens

if TYPE_CHECKING:
    from ai_assets.chains.outcome import StepResult
    from ai_assets.chains.runtime import Runtime
    from ai_assets.settings import Settings

DESCRIPTION = """\
AI insights of a venue chain: events in, results and news out. Every address but the health ones needs a token;
every error is a problem (RFC 9457).

News as they happen: WebSockets `/ws/ai-alerts/{site_id}` and `/ws/ai-cache/{site_id}`, see docs/gateway.md.
"""


def build_app(
    settings: Settings,
    database_url: str,
    make_runtime: Callable[[], Runtime],
    report: Callable[[StepResult], None] | None = None,
) -> FastAPI:
    """The app; opens nothing before it is started. `make_runtime` and `report`: see `Runner`."""
    parts = _parts(settings, database_url, make_runtime, report)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        parts.hub.start()
        yield
        await parts.runner.stop()
        await parts.hub.stop()
        parts.database.close()

    app = FastAPI(
        title="ai-assets gateway",
        version=version("ai-assets"),
        description=DESCRIPTION,
        lifespan=lifespan,
        # a page of our own: the framework's loads its scripts from a public host
        docs_url=None,
        redoc_url=None,
    )
    app.state.parts = parts
    install(app)
    for module in (events, runs, reads, clues, sockets, health):
        app.include_router(module.routes(parts))
    app.include_router(docs_page.routes())
    app.add_middleware(Door, parts=parts)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _parts(
    settings: Settings,
    database_url: str,
    make_runtime: Callable[[], Runtime],
    report: Callable[[StepResult], None] | None,
) -> Parts:
    database = Database(database_url)
    metrics = Metrics()
    hub = Hub(database_url, database)
    sockets_open = Quota(
        settings.gateway_sockets,
        "sockets open",
        kind="too-many-sockets",
        most_of_one=settings.gateway_token_sockets,
    )
    running = Quota(settings.gateway_runs, "runs at once", kind="too-many-runs", wait_s=5)
    runner = Runner(database, metrics, make_runtime, quota=running, report=report)
    metrics.gauge("sockets", "WebSockets that are open", lambda: sockets_open.used)
    metrics.gauge("app_runs", "Manual runs of apps in progress", lambda: running.used)
    metrics.gauge("listening", "1: Postgres tells of news, and they can be read", lambda: float(hub.ready))
    metrics.gauge("news_position", "The id of the newest news that was passed on", lambda: hub.position or 0)
    return Parts(
        database=database,
        intake=Intake(database),
        book=TokenBook(lambda: database.read("reading the tokens", tokens.live)),
        rates=Rates(settings.gateway_rate_per_s),
        hub=hub,
        requests=Quota(IN_FLIGHT, "requests at once"),
        # the largest body must fit into one token's share
        bodies=Quota(max(HELD_BYTES, 2 * settings.gateway_body_bytes), "bytes to read at once"),
        sockets=sockets_open,
        runner=runner,
        metrics=metrics,
        body_bytes=settings.gateway_body_bytes,
        socket_envelope=settings.gateway_envelope,
    )


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        parts = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas |= parts.pop("$defs", {})
        schemas["ProblemBody"] = parts
        app.openapi_schema = _exact(schema)
    return app.openapi_schema


def _exact(part: Any) -> Any:
    """The framework keeps bounds as floats, and the greatest id is none: it would be written one too high."""
    match part:
        case dict():
            return {key: _exact(value) for key, value in part.items()}
        case list():
            return [_exact(value) for value in part]
        case float() if part == float(tokens.LARGEST_ID):
            return tokens.LARGEST_ID
        case _:
            return part
