"""A member's clues that people write: add, change, delete. Not here: reading them (`reads`), the apps' clues.

The role is `send`: a backend writes clues as it sends events, and by SQL it may do both as `ai_backend`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from ai_assets.gateway.access import check_site, holder_with
from ai_assets.gateway.answers import IdempotencyKey, answer, asked
from ai_assets.gateway.bodies import TokenRoute
from ai_assets.gateway.problems import Problem, documented
from ai_assets.gateway.shapes import ChangedClue, Clue, SentClue
from ai_assets.store import clues, sent_once
from ai_assets.store.tokens import LARGEST_ID, Token

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ai_assets.gateway.parts import Parts

PathId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
Sender = Annotated[Token, Depends(holder_with("send"))]


def routes(parts: Parts) -> APIRouter:
    """The member's clues, and one of them."""
    router = APIRouter(tags=["results"], route_class=TokenRoute)

    @router.post(
        "/sites/{site_id}/clues/{member_id}",
        status_code=201,
        response_model=Clue,
        responses=documented(),
        summary="Add a clue that somebody wrote",
    )
    async def add(
        site_id: PathId,
        member_id: PathId,
        body: SentClue,
        token: Sender,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Its source is `manual`: no app ever changes or deletes it."""
        check_site(token, site_id)
        written = body.model_dump()

        def write(connection: Connection) -> dict[str, Any]:
            request = asked("clue", site_id, member_id, written)
            if idempotency_key is not None:
                before: dict[str, Any] | None = sent_once.take(connection, token.id, idempotency_key, request)
                if before is not None:
                    return before
            added = clues.add_manual(connection, site_id, member_id, written)
            if idempotency_key is not None:
                sent_once.answered(connection, token.id, idempotency_key, added)
            return added

        return answer(await parts.database.write("adding a clue", write), 201)

    @router.patch(
        "/sites/{site_id}/clues/{member_id}/{clue_id}",
        response_model=Clue,
        responses=documented(404),
        summary="Change a clue that somebody wrote",
    )
    async def change(
        site_id: PathId, member_id: PathId, clue_id: PathId, body: ChangedClue, token: Sender
    ) -> Response:
        """What is left out stays as it is. A clue of an app is not found here."""
        check_site(token, site_id)
        changed = body.model_dump(exclude_unset=True)
        found = await parts.database.write(
            "changing a clue",
            lambda connection: clues.change_manual(connection, site_id, member_id, clue_id, changed),
        )
        if found is None:
            raise _not_found(site_id, member_id, clue_id)
        return answer(found)

    @router.delete(
        "/sites/{site_id}/clues/{member_id}/{clue_id}",
        status_code=204,
        responses=documented(404),
        summary="Delete a clue that somebody wrote",
    )
    async def remove(site_id: PathId, member_id: PathId, clue_id: PathId, token: Sender) -> Response:
        """A clue of an app is not found here."""
        check_site(token, site_id)
        if not await parts.database.write(
            "deleting a clue",
            lambda connection: clues.remove_manual(connection, site_id, member_id, clue_id),
        ):
            raise _not_found(site_id, member_id, clue_id)
        return Response(status_code=204)

    return router


def _not_found(site_id: int, member_id: int, clue_id: int) -> Problem:
    return Problem(
        404,
        "not-found",
        f"member {member_id} of site {site_id} has no clue {clue_id} that somebody wrote",
    )
