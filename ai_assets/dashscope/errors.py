"""DashScope's errors: one class for each thing that a caller does about it, and the table that finds it.

Here: the classes, and `classify`, which is pure. Not here: what they have in common (`failure`), HTTP
(`transport`), when to send again (`retrying`).

Source of the table: the project's specification of DashScope's wire, gathered from its public documentation.
A code that the table does not know is judged by its HTTP status alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import NamedTuple

from ai_assets.dashscope.failure import DashScopeError, Effect, Resend, service_words
from ai_assets.dashscope.retry_after import read_retry_after
from ai_assets.errors import PermanentError, TransientError

# What comes from `failure` is part of this module's face; so is every class below.
__all__ = ["DashScopeError", "Effect", "Resend", "classify"]

TOKENS_PER_MINUTE_WAIT_S = 60.0


class InvalidApiKeyError(DashScopeError, PermanentError):
    """The API key was refused."""

    reason = "invalid_api_key"
    effect = Effect.OPENS
    advice = "check DASHSCOPE_API_KEY"


class AccessDeniedError(DashScopeError, PermanentError):
    """The key has no access to this app, model or workspace."""

    reason = "access_denied"
    effect = Effect.OPENS
    advice = "grant the key access to the app and its model, and check DASHSCOPE_WORKSPACE"


class NotFoundError(DashScopeError, PermanentError):
    """The app, model or workspace does not exist."""

    reason = "not_found"
    effect = Effect.OPENS
    advice = "check the app's AI_APP_ID setting and DASHSCOPE_BASE_URL"


class BadRequestError(DashScopeError, PermanentError):
    """The request was refused as wrong."""

    reason = "bad_request"
    effect = Effect.NEUTRAL


class RequestTooLargeError(DashScopeError, PermanentError):
    """The request is larger than the 16 MiB that DashScope takes."""

    reason = "request_too_large"
    effect = Effect.NEUTRAL
    advice = "make the prompt shorter"


class ContentFilteredError(DashScopeError, PermanentError):
    """The content filter refused the prompt or the answer."""

    reason = "content_filtered"
    effect = Effect.NEUTRAL


class ArrearsError(DashScopeError, PermanentError):
    """The account is in arrears or has not bought the service."""

    reason = "arrears"
    effect = Effect.HARD_STOP
    advice = "settle the account's bill"


class QuotaExhaustedError(DashScopeError, PermanentError):
    """The account's free quota is used up."""

    reason = "quota_exhausted"
    effect = Effect.HARD_STOP
    advice = "turn off free-tier-only use or buy quota"


class ThrottledError(DashScopeError, TransientError):
    """Too many requests."""

    reason = "throttled"
    effect = Effect.COOLDOWN
    resend = Resend.BACKOFF


class TokensThrottledError(ThrottledError):
    """Too many tokens a minute."""


class ServerFailedError(DashScopeError, TransientError):
    """DashScope failed inside."""

    reason = "server_error"
    resend = Resend.BACKOFF


class ServerTimeoutError(DashScopeError, TransientError):
    """DashScope's own time for the request ran out."""

    reason = "server_timeout"
    resend = Resend.ONCE
    billed_by_default = True


class AppFailedError(DashScopeError, TransientError):
    """The app's workflow or a plugin of it failed."""

    reason = "app_failed"
    resend = Resend.ONCE
    billed_by_default = True


class UnavailableError(DashScopeError, TransientError):
    """The service or the model is not available now."""

    reason = "unavailable"
    resend = Resend.BACKOFF


class GatewayTimeoutError(DashScopeError, TransientError):
    """A gateway gave up waiting for the answer."""

    reason = "gateway_timeout"
    resend = Resend.BACKOFF
    billed_by_default = True


class BadGatewayError(DashScopeError, TransientError):
    """A gateway answered in DashScope's place."""

    reason = "bad_gateway"
    resend = Resend.BACKOFF


class RedirectedError(DashScopeError, PermanentError):
    """The server sent a redirect, which is not followed: the key would go along."""

    reason = "redirected"
    advice = "check DASHSCOPE_BASE_URL"


class ConnectionFailedError(DashScopeError, TransientError):
    """The connection could not be made, or was lost.

    `stale`: it came from the pool and was dropped before the answer began, so the request was most likely
    never read: the one failure after which the call is sent again without waiting.
    """

    reason = "connection"
    resend = Resend.BACKOFF
    stale = False


class AnswerTimeoutError(DashScopeError, TransientError):
    """The server sent nothing within the read timeout."""

    reason = "read_timeout"
    resend = Resend.BACKOFF
    billed_by_default = True


class CallTimeoutError(DashScopeError, TransientError):
    """The call's total time ran out."""

    reason = "timeout"


class ClientBusyError(CallTimeoutError):
    """The call's total time ran out before one of this client's workers was free."""

    effect = Effect.NEUTRAL
    advice = "make no more calls side by side than the client's pool_size"


class CallCancelledError(DashScopeError, TransientError):
    """The call was cancelled by its caller."""

    reason = "cancelled"
    effect = Effect.NEUTRAL


class EmptyAnswerError(DashScopeError, TransientError):
    """The answer holds no text."""

    reason = "empty_answer"
    billed_by_default = True


class PartialAnswerError(DashScopeError, TransientError):
    """The answer is partial: DashScope's own time ran out while it was made."""

    reason = "partial_answer"
    billed_by_default = True


class MalformedReplyError(DashScopeError, TransientError):
    """The reply is not what DashScope sends."""

    reason = "malformed_reply"
    resend = Resend.ONCE
    billed_by_default = True
    advice = "check that DASHSCOPE_BASE_URL names DashScope and no proxy page"


class ReplyTooLargeError(DashScopeError, PermanentError):
    """The reply is larger than this client reads."""

    reason = "reply_too_large"
    billed_by_default = True


class _Rule(NamedTuple):
    kind: type[DashScopeError]
    codes: tuple[str, ...]  # patterns over the lower-case code
    message: str = ""  # must stand in the lower-case message


# Order matters: the first rule that fits wins, so the narrow ones come first.
_RULES = (
    _Rule(BadRequestError, ("*",), "<400> internalerror.algo.invalidparameter"),
    _Rule(ContentFilteredError, ("*",), "<400> internalerror.algo.datainspectionfailed"),
    _Rule(BadRequestError, ("internalerror.algo.invalidparameter",)),
    _Rule(InvalidApiKeyError, ("invalidapikey",)),
    _Rule(AccessDeniedError, ("*accessdenied*", "*allocationquota.freetieronly")),
    _Rule(NotFoundError, ("*notfound",)),
    _Rule(ContentFilteredError, ("data*inspection*failed", "faqruleblocked", "customroleblocked")),
    _Rule(ArrearsError, ("arrearage", "*billoverdue", "commoditynotpurchased")),
    _Rule(QuotaExhaustedError, ("*allocationquota*",), "free allocated quota exceeded"),
    _Rule(TokensThrottledError, ("*allocationquota*",)),
    _Rule(ThrottledError, ("throttling*",)),
    _Rule(RequestTooLargeError, ("badrequest.toolarge",)),
    _Rule(BadRequestError, ("invalidparameter*", "badrequest*", "flownotpublished")),
    _Rule(ServerTimeoutError, ("requesttimeout", "internalerror.timeout")),
    _Rule(AppFailedError, ("appprocessfailed", "invokepluginfailed")),
    _Rule(UnavailableError, ("serviceunavailable", "modelunavailable")),
    _Rule(GatewayTimeoutError, ("gatewaytimeout",)),
    _Rule(ServerFailedError, ("internalerror*", "systemerror", "modelservicefailed")),
)
_BY_STATUS: Mapping[int, type[DashScopeError]] = {
    401: InvalidApiKeyError,
    402: ArrearsError,
    403: AccessDeniedError,
    404: NotFoundError,
    408: ServerTimeoutError,
    413: RequestTooLargeError,
    429: ThrottledError,
    502: BadGatewayError,
    503: UnavailableError,
    504: GatewayTimeoutError,
}
_BY_FAMILY: Mapping[int, type[DashScopeError]] = {
    3: RedirectedError,
    4: BadRequestError,
    5: ServerFailedError,
}


def classify(
    status: int | None,
    code: str,
    message: str,
    headers: Mapping[str, str],
    request_id: str,
    *,
    now: datetime | None = None,
) -> DashScopeError:
    """The error that DashScope's answer means; returned, not raised.

    `code` decides where the table knows it, then the exact status, then its family. `now` (aware) serves a
    Retry-After given as a date by a server that sends no Date header.
    """
    kind = _kind(status, code.strip().lower(), message.lower())
    retry_after = read_retry_after(headers, now)
    if kind is TokensThrottledError and retry_after is None:
        retry_after = TOKENS_PER_MINUTE_WAIT_S
    return kind(
        service_words(message), status=status, code=code, request_id=request_id, retry_after_s=retry_after
    )


def _kind(status: int | None, code: str, message: str) -> type[DashScopeError]:
    for rule in _RULES:
        if rule.message in message and any(fnmatchcase(code, pattern) for pattern in rule.codes):
            return rule.kind
    status = status or 0
    return _BY_STATUS.get(status) or _BY_FAMILY.get(status // 100) or MalformedReplyError
