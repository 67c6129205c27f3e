"""`POST /events` and `GET /events/{id}`: events in over HTTP, through the same door as a backend's own SQL.

Not here: what an event must carry and what makes two the same (`biz.fire_ai_event`; docs/events.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Response
from pydantic import Discriminator, Field, Tag

from ai_assets.errors import DatabaseUnavailableError
from ai_assets.gateway.access import check_role, check_site, holder_with
from ai_assets.gateway.answers import IdempotencyKey, answer, asked
from ai_assets.gateway.bodies import TokenRoute
from ai_assets.gateway.problems import Problem, documented
from ai_assets.gateway.shapes import MOST_EVENTS, Job, SentEvent, TakenIn, TakenInAll
from ai_assets.store import inbox, sent_once
from ai_assets.store.payloads import payload_id
from ai_assets.store.tokens import LARGEST_ID, Token

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_assets.gateway.parts import Parts

_TRIES = 3


def _form(body: object) -> str:
    return "many" if isinstance(body, list) else "one"


# told apart by their form, so that what is wrong is told of the one that was sent
One = Annotated[SentEvent, Tag("one")]
Many = Annotated[list[SentEvent], Field(min_length=1, max_length=MOST_EVENTS), Tag("many")]


def routes(parts: Parts) -> APIRouter:
    """Both addresses."""
    router = APIRouter(tags=["events"], route_class=TokenRoute)

    @router.post(
        "/events",
        status_code=202,
        response_model=TakenIn | TakenInAll,
        responses=documented(),
        summary="Send an event, or up to 500 at once",
    )
    async def send(
        body: Annotated[One | Many, Discriminator(_form), Body()],
        token: Annotated[Token, Depends(holder_with("send"))],
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """One event as an object, or an array of them, which are taken in all or none.

        Each is recorded whatever it is: what cannot run is answered as `failed` with its error, a repetition as
        `duplicate`.
        """
        many = isinstance(body, list)
        sent = body if isinstance(body, list) else [body]
        await _check_scope(parts, token, sent)
        taken_in = await _take_in(parts, token, sent, idempotency_key, many=many)
        return answer({"events": taken_in} if many else taken_in[0], 202)

    @router.get(
        "/events/{job_id}", response_model=Job, responses=documented(404), summary="What became of an event"
    )
    async def follow(
        job_id: Annotated[int, Path(ge=1, le=LARGEST_ID)],
        token: Annotated[Token, Depends(holder_with("read"))],
    ) -> Response:
        """The trigger job of an event."""
        job = await parts.database.read("reading an event", lambda connection: inbox.job(connection, job_id))
        if job is None or not token.sees(inbox.scope(job)):
            # of another site: whether there is one is nobody's to know
            raise Problem(404, "not-found", f"there is no event {job_id} that this token may see")
        return answer({name: getattr(job, name) for name in Job.model_fields})

    return router


async def _check_scope(parts: Parts, token: Token, sent: Sequence[SentEvent]) -> None:
    """Raise Problem where one of these events is of a site, or of a force, that is not this token's."""
    for event in sent:
        check_site(token, _site_of(event))
    if any(event.is_forced for event in sent):
        check_role(token, "operate", "is_forced")
    # whatever site it names: it becomes an event of each site
    if not token.sees(None) and await parts.intake.reaches_all_sites({event.event_type for event in sent}):
        check_site(token, None)


def _site_of(event: SentEvent) -> int | None:
    """The event's site: the argument, otherwise the payload's; None where neither is an id."""
    return event.site_id if event.site_id is not None else payload_id(event.payload.get("site_id"))


async def _take_in(
    parts: Parts, token: Token, sent: Sequence[SentEvent], key: str | None, *, many: bool
) -> list[dict[str, Any]]:
    # with the site that was checked as the argument: intake then reads no other
    events = [
        inbox.Event(
            **{name: getattr(event, name) for name in SentEvent.model_fields} | {"site_id": _site_of(event)}
        )
        for event in sent
    ]

    def fire(connection: Connection) -> list[dict[str, Any]]:
        return [_shown(fired) for fired in inbox.fire_all(connection, events)]

    def once(connection: Connection) -> list[dict[str, Any]]:
        if key is None:
            return fire(connection)
        request = asked("events", many, [event.model_dump() for event in sent])
        before: list[dict[str, Any]] | None = sent_once.take(connection, token.id, key, request)
        if before is not None:
            return before
        taken_in = fire(connection)
        sent_once.answered(connection, token.id, key, taken_in)
        return taken_in

    for left in reversed(range(_TRIES)):
        try:
            if key is None and not many:
                taken_in = [_shown(await parts.intake.take_in(events[0]))]
            else:
                taken_in = await parts.database.write("sending events", once)
            break
        except DatabaseUnavailableError as error:
            # two batches that waited for each other: Postgres has ended this one, and nothing of it stands
            if not left or getattr(getattr(error.__cause__, "orig", None), "pgcode", None) != "40P01":
                raise
    for status, number in Counter(event["status"] for event in taken_in).items():
        parts.metrics.count("events_total", number, status=status)
    return taken_in


def _shown(fired: inbox.Fired) -> dict[str, Any]:
    return {name: getattr(fired, name) for name in TakenIn.model_fields}
