"""What went wrong, as `application/problem+json` (RFC 9457): every error that the gateway answers has this form.

Here: the kinds, and how errors of the core and of the framework become one. Not here: who finds them.
No answer quotes what was sent: it may hold what must not stand in a log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from ai_assets.chains.manual_payload import safe_key
from ai_assets.errors import (
    AiAssetsError,
    ConfigurationError,
    DatabaseUnavailableError,
    InputError,
    WarehouseError,
)
from ai_assets.privacy.logs import log_defect
from ai_assets.store.sent_once import KeyReusedError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:ai-assets:problem:"
BUSY_S = 2
"""When to ask again where Postgres is away, or there is too much at once."""
# what one answer lists at most: a batch can hold as many faults as events
_MOST_FAULTS = 20
# how the two forms of a body are told apart is nobody else's matter
_TAGS = ("one", "many")


class Fault(BaseModel):
    """One thing that is wrong with a request: where, and what."""

    where: str = Field(description="Such as body.0.site_id")
    what: str


class ProblemBody(BaseModel):
    """The form of every error (RFC 9457)."""

    type: str = Field(description="The kind: urn:ai-assets:problem:…, see docs/gateway.md")
    title: str
    status: int
    detail: str = Field(description="One sentence: what was wrong and what to do")
    faults: list[Fault] | None = Field(None, description="What is wrong with the request, part by part")


class Problem(Exception):  # noqa: N818  # the RFC's own word
    """Ends a request with this problem. `kind` is the end of its type, such as `wrong-token`."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        faults: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers, self.faults = dict(headers or {}), faults

    def response(self) -> JSONResponse:
        """The answer."""
        body: dict[str, Any] = {
            "type": PREFIX + self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.faults:
            body["faults"] = list(self.faults)
        return JSONResponse(body, self.status, headers=self.headers, media_type=MEDIA_TYPE)


def busy(detail: str, wait_s: int = BUSY_S, *, status: int = 503, kind: str = "busy") -> Problem:
    """Too much at once, or away for a moment: the same request may work later."""
    return Problem(status, kind, detail, headers={"Retry-After": str(max(1, wait_s))})


def of_error(error: Exception) -> Problem:
    """The problem that an error of the core is. What is nobody's fault but ours is logged, and told as such."""
    match error:
        case Problem():
            return error
        case KeyReusedError():
            return Problem(409, "idempotency-key-reused", str(error))
        case InputError():
            return Problem(422, "bad-input", str(error))
        case DatabaseUnavailableError():
            # its text names hosts and users of ours
            logger.warning("%s", error)
            return busy("the database cannot be reached now: try again", kind="database-unavailable")
        case ConfigurationError() | WarehouseError():
            logger.error("%s", error)
            return Problem(
                503, "not-configured", "this gateway is not set up for that; its log says what is missing"
            )
        case AiAssetsError():
            logger.error("%s", error)
        case _:
            log_defect(logger, error, "a request failed")
    return Problem(500, "defect", "that went wrong here; the gateway's log says how")


def install(app: FastAPI) -> None:
    """Have every error of this app answered as a problem."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        match error:
            case RequestValidationError():
                return _invalid(error).response()
            case HTTPException(status_code=405):
                # the framework names the methods of one route alone
                return _of_framework(HTTPException(405, headers={"Allow": _allowed(request)})).response()
            case HTTPException():
                return _of_framework(error).response()
            case _:
                return of_error(error).response()

    for kind in (RequestValidationError, HTTPException, Problem, AiAssetsError, Exception):
        app.add_exception_handler(kind, answer)


def _allowed(request: Request) -> str:
    """The methods that this address takes, as a header."""
    at_address = (route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return ", ".join(
        sorted({method for route in at_address for method in getattr(route, "methods", None) or ()})
    )


def _invalid(error: RequestValidationError) -> Problem:
    faults = [
        {"where": _where(fault["loc"])[:200], "what": str(fault["msg"])[:200]}
        for fault in error.errors()[:_MOST_FAULTS]
    ]
    return Problem(422, "bad-input", "the request has not the form that it must have", faults=faults)


def _where(location: Sequence[str | int]) -> str:
    return ".".join(
        safe_key(part) if isinstance(part, str) else str(part) for part in location if part not in _TAGS
    )


def _of_framework(error: HTTPException) -> Problem:
    kinds = {404: "not-found", 405: "wrong-method", 415: "wrong-media-type"}
    details = {
        404: "there is no such address",
        405: "this address does not take that method",
        400: "the body is not JSON",
    }
    detail = details.get(error.status_code, str(error.detail))
    return Problem(
        error.status_code, kinds.get(error.status_code, "bad-input"), detail, headers=error.headers
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route's OpenAPI says of these statuses, and of those that any route may answer."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
        }
        for status in sorted({*statuses, 400, 401, 403, 408, 409, 413, 422, 429, 500, 503})
    }
