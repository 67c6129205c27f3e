"""`POST /apps/{app}/run` and `GET /runs/{id}`: one app for one subject, made anew ("regenerate" in the admin web).

An address for each app, so that OpenAPI says what each must be given. Here: the addresses and their bodies. Not here:
running (`ai_assets.gateway.runner`), what an app needs beyond the form (`ai_assets.chains.by_hand.check`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import AliasChoices, Field

from ai_assets.apps.base import Subject
from ai_assets.apps.registry import APPS, PAIR_APPS
from ai_assets.catalog import CATALOG
from ai_assets.chains.by_hand import Asked, check
from ai_assets.chains.manual_payload import (
    PAYLOADS,
    CluePayload,
    Id,
    ManualPayload,
    NotePayload,
    TacticsPayload,
)
from ai_assets.chains.member_steps import RETENTION_CLUE
from ai_assets.gateway.access import check_site, holder_with
from ai_assets.gateway.answers import IdempotencyKey, answer, asked
from ai_assets.gateway.bodies import TokenRoute
from ai_assets.gateway.problems import Problem, documented
from ai_assets.gateway.shapes import AppRunAnswer, IsoDate
from ai_assets.store import app_runs, cache, sent_once
from ai_assets.store.tokens import LARGEST_ID, Token
from ai_assets.warehouse.areas import ALL, AREAS
from ai_assets.warehouse.windows import WINDOWS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_assets.gateway.parts import Parts

LONGEST_WAIT_S = 60
AGAIN_S = 2

Wait = Annotated[
    int,
    Query(
        ge=0, le=LONGEST_WAIT_S, description="Seconds to wait for the end; 202 where it has not come by then"
    ),
]
Window = Literal[WINDOWS]  # type: ignore[valid-type]
LeafArea = Literal[tuple(area for area in AREAS if area != ALL)]  # type: ignore[valid-type]


class _Run(ManualPayload):
    """What every app takes."""

    site_id: Annotated[Id, Field(examples=[1001])]
    as_of: Annotated[IsoDate | None, Field(description="As-of date; none: the newest batch's")] = None
    reuse: Annotated[bool, Field(description="Take the cached result where the prompt is the same")] = False


class _Window(_Run):
    time: Annotated[Window, Field(validation_alias=AliasChoices("time", "time_dimension"))]


class RunFinance(_Window):
    """App2: a site's finances, all areas together."""

    area: Literal["all"] = "all"


class RunFinanceArea(_Window):
    """App2a: the finances of one area."""

    area: LeafArea  # type: ignore[valid-type]


class RunMember(_Run):
    """App3, App7: a member."""

    member_id: Annotated[Id, Field(examples=[555])]


class RunNote(RunMember, NotePayload):
    """App6: a member and a note."""


class RunClues(RunMember, CluePayload):
    """App8, and the retention clues by themselves: under which source the clues are filed."""


class RunPair(RunMember):
    """App4: a member and an assistant."""

    assistant_id: Annotated[Id, Field(examples=[7])]


class RunTactics(RunPair, TacticsPayload):
    """App5: a member, an assistant, and what App4 said of them (none: the newest in the cache)."""


BODIES: dict[str, type[_Run]] = {
    **dict.fromkeys(CATALOG, RunMember),
    **dict.fromkeys(PAIR_APPS, RunPair),
    "app5_tactics": RunTactics,
    "app6_note": RunNote,
    "app8_consolidation": RunClues,
    "app2_finance": RunFinance,
    "app2a_finance_area": RunFinanceArea,
    RETENTION_CLUE: RunClues,
}

SPELLINGS = {
    spelling: name
    for name in BODIES
    for spelling in (CATALOG[name].spellings if name in CATALOG else (name,))
}
"""The name of the app by each spelling that an address may have; OpenAPI shows the name alone."""


def routes(parts: Parts) -> APIRouter:
    """An address for each app, one for its runs, and one that says which apps there are."""
    router = APIRouter(tags=["apps"], route_class=TokenRoute)
    for spelling, name in SPELLINGS.items():
        body = BODIES[name]
        router.add_api_route(
            f"/apps/{spelling}/run",
            _run(parts, name, body),
            methods=["POST"],
            status_code=202,
            response_model=AppRunAnswer,
            responses={
                200: {"model": AppRunAnswer, "description": "It has ended"},
                202: {
                    "description": "It runs",
                    "headers": {
                        "Location": {"schema": {"type": "string"}},
                        "Retry-After": {"schema": {"type": "string"}},
                    },
                },
                **documented(),
            },
            name=f"run_{name}",
            operation_id=f"run_{name}",
            summary=f"Run {name} for one subject",
            include_in_schema=spelling == name,
        )

    @router.post("/apps/{app}/run", include_in_schema=False)
    async def unknown(_token: Annotated[Token, Depends(holder_with("operate"))]) -> Response:
        raise Problem(404, "not-found", f"there is no such app; there are {', '.join(BODIES)}")

    @router.get(
        "/runs/{run_id}", response_model=AppRunAnswer, responses=documented(404), summary="How a run stands"
    )
    async def look(
        run_id: Annotated[int, Path(ge=1, le=LARGEST_ID)],
        token: Annotated[Token, Depends(holder_with("read"))],
        wait: Wait = 0,
    ) -> Response:
        """The run, and its result where it gave one."""
        shown = await _shown(parts, run_id)
        if shown is None or not token.sees(shown["site_id"]):
            raise Problem(404, "not-found", f"there is no run {run_id} that this token may see")
        if wait and shown["status"] == "running":
            await parts.runner.wait(run_id, wait)
            shown = await _shown(parts, run_id) or shown
        return answer(shown)

    return router


def asked_of(name: str, body: _Run) -> Asked:
    """What a body asks for. Raises InputError as `by_hand.check` does."""
    given = body.model_dump(exclude_none=True)
    subject = Subject(
        site_id=body.site_id,
        window=given.get("time"),
        area=given.get("area"),
        member_id=given.get("member_id"),
        assistant_id=given.get("assistant_id"),
    )
    payload = body.model_dump(include=set(PAYLOADS.get(name, ManualPayload).model_fields))
    it = Asked(name, subject, payload, body.as_of, forced=not body.reuse)
    check(it)
    return it


def _run(parts: Parts, name: str, body_type: type[_Run]) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def run(
        body: Any, token: Token, wait: Wait = 0, idempotency_key: IdempotencyKey = None
    ) -> Response:
        """Starts it, through the guard and into the cache. With `wait` the answer is its end, if that comes in time;
        else it is 202, and `Location` says where to look. A failed run is `status`, not an error of the request.
        """
        check_site(token, body.site_id)
        it = asked_of(name, body)
        run_id = await _start(parts, token, it, body, idempotency_key)
        await parts.runner.wait(run_id, wait)
        shown = await _shown(parts, run_id)
        if shown is None:
            raise Problem(404, "not-found", f"run {run_id} is no longer kept")
        if shown["status"] == "running":
            headers = {"Location": f"/runs/{run_id}", "Retry-After": str(AGAIN_S)}
            return answer(shown, 202, **headers)
        return answer(shown)

    # of this app: the framework reads them from here
    run.__annotations__ |= {
        "body": Annotated[body_type, Body()],
        "token": Annotated[Token, Depends(holder_with("operate"))],
    }
    return run


async def _start(parts: Parts, token: Token, it: Asked, body: _Run, key: str | None) -> int:
    runtime = await parts.runner.runtime()
    if it.app_name in APPS:
        runtime.app_id(APPS[it.app_name])
    lives_s = parts.runner.lives_s(runtime)
    request = asked("run", it.app_name, body.model_dump())
    parts.runner.quota.take(token.id)

    def begin(connection: Connection) -> tuple[int, bool]:
        before = None if key is None else sent_once.take(connection, token.id, key, request)
        if before is not None:
            return int(before), False
        run_id = app_runs.begin(
            connection, token_id=token.id, app=it.app_name, site_id=it.subject.site_id, lives_s=lives_s
        )
        if key is not None:
            sent_once.answered(connection, token.id, key, run_id)
        return run_id, True

    try:
        run_id, new = await parts.database.write("recording a run", begin)
    except BaseException:
        parts.runner.quota.release(token.id)
        raise
    if new:
        parts.runner.start(run_id, token.id, it)
    else:
        parts.runner.quota.release(token.id)
    return run_id


async def _shown(parts: Parts, run_id: int) -> dict[str, Any] | None:
    def look(connection: Connection) -> dict[str, Any] | None:
        run = app_runs.app_run(connection, run_id)
        if run is None:
            return None
        entry = None if run.cache_id is None else cache.entry(connection, run.cache_id)
        content = (
            None if entry is None else {k: v for k, v in entry.result_json.items() if k != "_references"}
        )
        return {**{name: getattr(run, name, None) for name in AppRunAnswer.model_fields}, "result": content}

    return await parts.database.read("reading a run", look)
