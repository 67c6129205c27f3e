"""The simulated service without its sockets: a request in, a response and a decision out.

Here: routes, the checks that the real service makes, sessions, counting. Not here: reading requests
(`http11`), sending what comes out (`server`).
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ai_assets.errors import InputError
from ai_assets.simulator.behaviour import Decision
from ai_assets.simulator.completion import Asked, completion, error_reply
from ai_assets.simulator.control import Control
from ai_assets.simulator.http11 import Request
from ai_assets.simulator.kinds import ERRORS
from ai_assets.simulator.replies import APPS
from ai_assets.simulator.sessions import Sessions
from ai_assets.simulator.stats import UNKNOWN_APP, Call, Stats
from ai_assets.simulator.wire import Reply, json_reply

_COMPLETION: Final = re.compile(r"/api/v1/apps/([^/]+)/completion")
_BEARER: Final = re.compile(r"Bearer +\S+", re.IGNORECASE)


@dataclass(frozen=True)
class Exchange:
    """A response, how to deliver it (None: at once), and whether it is a counted completion call."""

    reply: Reply
    decision: Decision | None = None
    counted: bool = False


class _RefusedError(Exception):
    """The request itself is wrong: a row of the error table, perhaps with a message of its own."""

    def __init__(self, kind: str, message: str | None = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.message = message


def _now() -> datetime:
    return datetime.now(UTC)


class Service:
    """Answers requests. `respond` and `ended` are for one thread; control and stats for any."""

    def __init__(
        self,
        *,
        seed: int,
        keep_prompts: int,
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
        new_id: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self.control = Control(seed)
        self.stats = Stats(keep_prompts)
        self._clock = clock
        self._new_id = new_id
        self._sessions = Sessions(lambda: new_id().hex, monotonic)

    def respond(self, request: Request) -> Exchange:
        """What to send back; a completion call counts as in flight until `ended`."""
        match = _COMPLETION.fullmatch(request.path)
        if match is None:
            return Exchange(self._operate(request))
        if request.method != "POST":
            return Exchange(self._plain_error(405, "MethodNotAllowed", "use POST"))
        return self._complete(match.group(1), request)

    def ended(self, *, abandoned: bool) -> None:
        """A counted exchange is over; `abandoned`: the caller left before it had its answer."""
        self.stats.end(self._clock(), abandoned=abandoned)

    def reset(self) -> None:
        """Settings as at the start, counters at zero, no sessions."""
        self.control.reset()
        self.stats.reset()
        self._sessions.forget()

    def _complete(self, app_id: str, request: Request) -> Exchange:
        request_id = str(self._new_id())
        app = app_id if app_id in APPS else UNKNOWN_APP
        try:
            _check(request, app)
            asked, call = self._asked(app, request, request_id)
        except _RefusedError as refused:
            self.stats.begin(Call(self._clock(), app, refused.kind))
            return Exchange(error_reply(ERRORS[refused.kind], request_id, refused.message), counted=True)
        decision = self.control.decide(app, asked.prompt)
        reply = completion(self.control.seed, decision.kind, asked)
        if decision.retry_after is not None and reply.status != 200:
            reply = reply.with_headers({"Retry-After": decision.retry_after})
        self.stats.begin(call(decision.kind))
        return Exchange(reply, decision, counted=True)

    def _asked(self, app: str, request: Request, request_id: str) -> tuple[Asked, Callable[[str], Call]]:
        body = _json_object(request.body, "the body")
        given = body.get("input")
        if not isinstance(given, dict):
            raise _RefusedError("invalid_parameter", 'Required parameter "input" missing or not an object.')
        prompt = given.get("prompt")
        if not isinstance(prompt, str) or not prompt:
            raise _RefusedError("invalid_parameter", 'Required parameter "input.prompt" missing or not text.')
        session_id = given.get("session_id")
        biz_params = given.get("biz_params")
        parameters = body.get("parameters")
        if session_id is not None and not isinstance(session_id, str):
            raise _RefusedError("invalid_parameter", '"input.session_id" is not text.')
        if biz_params is not None and not isinstance(biz_params, dict):
            raise _RefusedError("invalid_parameter", '"input.biz_params" is not an object.')
        if parameters is not None and not isinstance(parameters, dict):
            raise _RefusedError("invalid_parameter", '"parameters" is not an object.')
        stream = (
            request.headers.get("x-dashscope-sse", "").lower() == "enable"
            or "text/event-stream" in request.headers.get("accept", "").lower()
        )
        asked = Asked(
            app=app,
            prompt=prompt,
            stream=stream,
            incremental=(parameters or {}).get("incremental_output") is True,
            session_id=self._sessions.next_round(session_id),
            request_id=request_id,
        )
        at = self._clock()
        return asked, lambda outcome: Call(at, app, outcome, prompt, stream, session_id, biz_params)

    def _operate(self, request: Request) -> Reply:
        match (request.method, request.path):
            case ("GET", "/healthz"):
                return json_reply(200, {"status": "ok"})
            case ("GET", "/stats"):
                prompts = request.query.get("prompts", "0") not in ("", "0")
                return json_reply(200, self.stats.as_json(prompts=prompts), ascii_only=True)
            case ("GET", "/control"):
                return json_reply(200, self.control.as_json())
            case ("POST", "/control"):
                return self._change(request)
            case ("POST", "/control/reset"):
                self.reset()
                return json_reply(200, self.control.as_json())
            case (_, "/healthz" | "/stats" | "/control" | "/control/reset"):
                return self._plain_error(
                    405, "MethodNotAllowed", f"{request.method} does not fit {request.path}"
                )
        return self._plain_error(404, "NotFound", "Request path not found.")

    def _change(self, request: Request) -> Reply:
        try:
            self.control.change(_json_object(request.body, "the body"))
        except InputError as error:
            return self._plain_error(400, "InvalidParameter", str(error))
        except _RefusedError as refused:
            return self._plain_error(400, "InvalidParameter", refused.message or "")
        return json_reply(200, self.control.as_json())

    def _plain_error(self, status: int, code: str, message: str) -> Reply:
        return json_reply(
            status, {"code": code, "message": message, "request_id": str(self._new_id())}, ascii_only=True
        )


def _check(request: Request, app: str) -> None:
    authorization = request.headers.get("authorization", "")
    if not _BEARER.fullmatch(authorization):
        raise _RefusedError("invalid_api_key", None if authorization else "No API-key provided.")
    if request.too_large:
        raise _RefusedError("too_large")
    if app == UNKNOWN_APP:
        raise _RefusedError("not_found")


def _json_object(body: bytes, what: str) -> dict[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise _RefusedError("invalid_parameter", f"{what} of the request is not JSON.") from None
    if not isinstance(value, dict):
        raise _RefusedError("invalid_parameter", f"{what} of the request is not a JSON object.")
    return value
