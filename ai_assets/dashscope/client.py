"""The client: one call to an app, with its retries, inside one total deadline.

Here: the retry loop and the account of what may have been billed. Not here: whether the call may be made at
all (`ai_assets.guard`, which takes its place in the rate through `before_attempt`), one request (`bounded`).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import quote

from pydantic import SecretStr

from ai_assets.dashscope.bounded import BoundedSender
from ai_assets.dashscope.errors import CallCancelledError, CallTimeoutError, DashScopeError
from ai_assets.dashscope.key import KeyAuth
from ai_assets.dashscope.reply import Reply
from ai_assets.dashscope.retrying import Backoff, RetryPlan
from ai_assets.dashscope.transport import Limits, Transport
from ai_assets.dashscope.wire import Answer, RawReply, read_reply, request_body
from ai_assets.errors import AiAssetsError, ConfigurationError
from ai_assets.settings import Settings

__all__ = ["Backoff", "DashScopeClient", "Limits", "Reply", "client_from"]

_LONGEST_S = 86_400.0


class DashScopeClient:
    """Calls apps at one base URL with one key. Safe for use by many threads; close it, or use `with`.

    `pool_size` calls run side by side, more wait their turn inside their own deadline. `max_attempts` bounds
    the HTTP requests of a call (one resend of a stale pooled connection comes on top). Proxies and the
    certificate bundle are taken from the environment as `requests` does. `clock` is monotonic seconds;
    `sleep` replaces the waiting between attempts (None: really wait, and wake when cancelled); `now` is
    aware, for a Retry-After given as a date. `allow_http`: plain http also to another machine. Raises
    ConfigurationError for an unusable key, URL or workspace.
    """

    def __init__(
        self,
        *,
        api_key: SecretStr,
        base_url: str,
        workspace: str = "",
        allow_http: bool = False,
        pool_size: int = 16,
        max_attempts: int = 3,
        backoff: Backoff | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
        rng: random.Random | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if pool_size < 1 or max_attempts < 1:
            raise ConfigurationError("the DashScope client needs a pool_size and max_attempts of at least 1")
        transport = Transport(
            auth=KeyAuth(api_key),
            base_url=base_url,
            workspace=workspace,
            allow_http=allow_http,
            pool_size=pool_size,
            limits=limits or Limits(),
            clock=clock,
        )
        self.base_url = transport.base_url
        self._sender = BoundedSender(transport, pool_size=pool_size, clock=clock)
        self._max_attempts = max_attempts
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._now = now

    def call(
        self,
        app_id: str,
        prompt: str,
        *,
        deadline_s: float,
        before_attempt: Callable[[int, float], None] | None = None,
        cancelled: threading.Event | None = None,
        session_id: str = "",
        biz_params: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Ask an app and wait for its whole answer, at most `deadline_s` seconds in all.

        `before_attempt(number, remaining_s)` is called before each HTTP request but the first (number from
        2); what it raises ends the call and passes through as it is. `cancelled` ends the call with
        CallCancelledError at any moment. Raises DashScopeError (its subclass says what happened), or
        InputError / ConfigurationError before anything is sent.
        """
        if not app_id.strip():
            raise ConfigurationError("the app has no DashScope app id: set its AI_APP_ID setting")
        body = request_body(prompt, session_id, biz_params)
        path = f"/apps/{quote(app_id.strip(), safe='')}/completion"
        started = self._clock()
        deadline = started + min(deadline_s, _LONGEST_S)
        plan = RetryPlan(max_attempts=self._max_attempts, backoff=self._backoff, rng=self._rng)
        number, unsettled, before = 0, 0, ""
        while True:
            number += 1
            outcome = self._attempt(path, body, deadline, cancelled)
            if isinstance(outcome, Answer):
                return _reply(outcome, self._clock() - started, number, unsettled)
            unsettled += outcome.may_be_billed and outcome.usage_tokens is None
            wait = plan.next_wait(outcome, deadline - self._clock())
            if wait is None:
                raise _complete(outcome, app_id, number, unsettled, before)
            before = outcome.reason
            self._pause(wait, cancelled)
            if before_attempt is not None and not (cancelled is not None and cancelled.is_set()):
                try:
                    before_attempt(number + 1, deadline - self._clock())
                except AiAssetsError as error:
                    error.unsettled_attempts = unsettled
                    raise

    def close(self) -> None:
        """End the calls under way (CallCancelledError) and close the connections. Twice does no harm."""
        self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DashScopeClient({self.base_url})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a DashScopeClient is not pickled: it holds the key; make one where it is needed")

    def _attempt(
        self, path: str, body: bytes, deadline: float, cancelled: threading.Event | None
    ) -> Answer | DashScopeError:
        raw = self._sender.send(path, body, deadline, cancelled)
        return read_reply(raw, self._now()) if isinstance(raw, RawReply) else raw

    def _pause(self, seconds: float, cancelled: threading.Event | None) -> None:
        if seconds <= 0:
            return
        if self._sleep is not None:
            self._sleep(seconds)
        elif cancelled is not None:
            cancelled.wait(seconds)
        else:
            time.sleep(seconds)


def client_from(settings: Settings, *, pool_size: int) -> DashScopeClient:
    """A client for the service and with the key that the environment names: the only ones that are ever used.

    Raises ConfigurationError where no key is set for a service that is not on loopback, or one of them is unusable.
    """
    return DashScopeClient(
        api_key=settings.require_dashscope_key(),
        base_url=settings.dashscope_base_url,
        workspace=settings.dashscope_workspace,
        allow_http=settings.dashscope_allow_http,
        pool_size=pool_size,
    )


def _complete(error: DashScopeError, app_id: str, number: int, unsettled: int, before: str) -> DashScopeError:
    error.app_id, error.attempts, error.unsettled_attempts = app_id, number, unsettled
    error.may_be_billed = error.may_be_billed or unsettled > 0
    if before and isinstance(error, CallTimeoutError | CallCancelledError):
        error.message += f"; the attempt before it failed ({before})"
    return error


def _reply(answer: Answer, seconds: float, attempts: int, unsettled: int) -> Reply:
    usage = answer.usage
    return Reply(
        text=answer.text,
        session_id=answer.session_id,
        request_id=answer.request_id,
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        usage_known=usage.known,
        model_ids=usage.model_ids,
        usage_by_model=usage.by_model,
        latency_ms=max(round(seconds * 1000), 0),
        attempts=attempts,
        finish_reason=answer.finish_reason,
        truncated=answer.finish_reason.lower() == "length",
        unsettled_attempts=unsettled,
        tokens_cached=usage.tokens_cached,
    )
