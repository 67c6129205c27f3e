"""Every row of DashScope's error table, and what is not in it."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_assets.dashscope import errors
from ai_assets.dashscope.errors import DashScopeError, Effect, Resend, classify
from ai_assets.errors import AiAssetsError, PermanentError, TransientError

BAD_REQUEST = (PermanentError, "bad_request", Effect.NEUTRAL, Resend.NEVER, False)
FILTERED = (PermanentError, "content_filtered", Effect.NEUTRAL, Resend.NEVER, False)
DENIED = (PermanentError, "access_denied", Effect.OPENS, Resend.NEVER, False)
NOT_FOUND = (PermanentError, "not_found", Effect.OPENS, Resend.NEVER, False)
BAD_KEY = (PermanentError, "invalid_api_key", Effect.OPENS, Resend.NEVER, False)
ARREARS = (PermanentError, "arrears", Effect.HARD_STOP, Resend.NEVER, False)
NO_QUOTA = (PermanentError, "quota_exhausted", Effect.HARD_STOP, Resend.NEVER, False)
TOO_LARGE = (PermanentError, "request_too_large", Effect.NEUTRAL, Resend.NEVER, False)
THROTTLED = (TransientError, "throttled", Effect.COOLDOWN, Resend.BACKOFF, False)
SERVER = (TransientError, "server_error", Effect.COUNTS, Resend.BACKOFF, False)
SERVER_TIMEOUT = (TransientError, "server_timeout", Effect.COUNTS, Resend.ONCE, True)
APP_FAILED = (TransientError, "app_failed", Effect.COUNTS, Resend.ONCE, True)
UNAVAILABLE = (TransientError, "unavailable", Effect.COUNTS, Resend.BACKOFF, False)
GATEWAY_TIMEOUT = (TransientError, "gateway_timeout", Effect.COUNTS, Resend.BACKOFF, True)
BAD_GATEWAY = (TransientError, "bad_gateway", Effect.COUNTS, Resend.BACKOFF, False)
REDIRECTED = (PermanentError, "redirected", Effect.COUNTS, Resend.NEVER, False)
MALFORMED = (TransientError, "malformed_reply", Effect.COUNTS, Resend.ONCE, True)

TABLE = [
    (401, "InvalidApiKey", "", BAD_KEY),
    (403, "App.AccessDenied", "", DENIED),
    (403, "Workspace.AccessDenied", "", DENIED),
    (403, "Model.AccessDenied", "", DENIED),
    (403, "AccessDenied", "", DENIED),
    (403, "AccessDenied.Unpurchased", "", DENIED),
    (403, "AllocationQuota.FreeTierOnly", "The free tier has been exhausted", DENIED),
    (404, "ModelNotFound", "", NOT_FOUND),
    (404, "WorkSpaceNotFound", "", NOT_FOUND),
    (404, "NotFound", "", NOT_FOUND),
    (400, "InvalidParameter", "", BAD_REQUEST),
    (400, "BadRequest.EmptyInput", "", BAD_REQUEST),
    (400, "FlowNotPublished", "", BAD_REQUEST),
    (400, "DataInspectionFailed", "", FILTERED),
    (400, "data_inspection_failed", "", FILTERED),
    (400, "FaqRuleBlocked", "", FILTERED),
    (400, "CustomRoleBlocked", "", FILTERED),
    (400, "Arrearage", "", ARREARS),
    (413, "", "", TOO_LARGE),
    (413, "BadRequest.TooLarge", "Payload Too Large", TOO_LARGE),
    (429, "Throttling", "", THROTTLED),
    (429, "Throttling.RateQuota", "", THROTTLED),
    (429, "Throttling.BurstRate", "", THROTTLED),
    (429, "Throttling.AllocationQuota", "Allocated quota exceeded, please increase", THROTTLED),
    (429, "Throttling.AllocationQuota", "Free allocated quota exceeded.", NO_QUOTA),
    (429, "PrepaidBillOverdue", "", ARREARS),
    (429, "PostpaidBillOverdue", "", ARREARS),
    (429, "CommodityNotPurchased", "", ARREARS),
    (500, "InternalError", "", SERVER),
    (500, "InternalError.Algo", "", SERVER),
    (500, "SystemError", "", SERVER),
    (500, "ModelServiceFailed", "", SERVER),
    (500, "RequestTimeOut", "", SERVER_TIMEOUT),
    (500, "InternalError.Timeout", "", SERVER_TIMEOUT),
    (500, "AppProcessFailed", "", APP_FAILED),
    (500, "InvokePluginFailed", "", APP_FAILED),
    (503, "ServiceUnavailable", "", UNAVAILABLE),
    (503, "ModelUnavailable", "", UNAVAILABLE),
    (504, "GatewayTimeout", "", GATEWAY_TIMEOUT),
    (502, "", "<html>", BAD_GATEWAY),
    (500, "InternalError.Algo", "<400> InternalError.Algo.InvalidParameter: too long", BAD_REQUEST),
    (500, "InternalError", "<400> InternalError.Algo.DataInspectionFailed: no", FILTERED),
]

BY_STATUS = [
    (301, REDIRECTED),
    (400, BAD_REQUEST),
    (401, BAD_KEY),
    (402, ARREARS),
    (403, DENIED),
    (404, NOT_FOUND),
    (408, SERVER_TIMEOUT),
    (413, TOO_LARGE),
    (418, BAD_REQUEST),
    (429, THROTTLED),
    (500, SERVER),
    (502, BAD_GATEWAY),
    (503, UNAVAILABLE),
    (504, GATEWAY_TIMEOUT),
    (529, SERVER),
    (200, MALFORMED),
    (None, MALFORMED),
]


def traits(error: DashScopeError) -> tuple[type, str, Effect, Resend, bool]:
    base = PermanentError if isinstance(error, PermanentError) else TransientError
    return base, error.reason, error.effect, error.resend, error.may_be_billed


@pytest.mark.parametrize(("status", "code", "message", "expected"), TABLE)
def test_each_row_of_the_table_is_known(status, code, message, expected):
    error = classify(status, code, message, {}, "r-1")
    assert traits(error) == expected
    assert (error.status, error.code, error.request_id) == (status, code, "r-1")


@pytest.mark.parametrize(("status", "code", "message", "expected"), [row for row in TABLE if row[1]])
def test_a_known_code_decides_also_under_a_status_that_does_not_fit(status, code, message, expected):
    assert traits(classify(200, code, message, {}, "")) == expected


@pytest.mark.parametrize(("status", "expected"), BY_STATUS)
def test_an_unknown_code_is_judged_by_its_status(status, expected):
    assert traits(classify(status, "NeverHeardOf", "x", {}, "")) == expected


def test_tokens_per_minute_wait_a_minute_unless_the_server_says_otherwise():
    code = "Throttling.AllocationQuota"
    assert classify(429, code, "", {}, "").retry_after_s == 60.0
    assert classify(429, code, "", {"Retry-After": "7"}, "").retry_after_s == 7.0
    assert classify(429, "Throttling.RateQuota", "", {}, "").retry_after_s is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "12"}, 12.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "999999999"}, 86_400.0),
        ({"Retry-After": "Wed, 01 Apr 2026 10:00:30 GMT"}, 20.0),
        ({"Retry-After": "Wed, 01 Apr 2026 09:00:00 GMT"}, 0.0),
        # Against the server's own clock, where it tells it.
        ({"Retry-After": "Wed, 01 Apr 2026 10:00:30 GMT", "Date": "Wed, 01 Apr 2026 10:00:25 GMT"}, 5.0),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_nonsense_is_nothing(headers, expected):
    now = datetime(2026, 4, 1, 10, 0, 10, tzinfo=UTC)
    assert classify(429, "Throttling", "", headers, "", now=now).retry_after_s == expected


def test_the_message_is_one_line_that_says_what_where_and_what_to_do():
    error = classify(401, "InvalidApiKey", "Invalid\r\nAPI-key\x00 provided.", {}, "r-9")
    error.app_id = "app2"
    error.attempts = 2
    assert str(error) == (
        "DashScope app app2: HTTP 401 InvalidApiKey: Invalid API-key provided. (attempt 2) [request r-9]; "
        "check DASHSCOPE_API_KEY"
    )


@given(
    st.one_of(st.none(), st.integers(-1, 1000)),
    st.text(),
    st.text(),
    st.dictionaries(st.sampled_from(["Retry-After", "Date", "x"]), st.text()),
    st.text(),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_a_server_says_becomes_one_short_printable_error(status, code, message, headers, request_id):
    error = classify(status, code, message, headers, request_id)
    line = str(error)
    assert line.isprintable()
    assert len(line) < 800
    assert error.reason
    assert error.retry_after_s is None or 0 <= error.retry_after_s <= 86_400


def every_class() -> list[type[DashScopeError]]:
    found, rest = [], [DashScopeError]
    while rest:
        kind = rest.pop()
        found.append(kind)
        rest.extend(kind.__subclasses__())
    return found


@pytest.mark.parametrize("kind", every_class())
def test_every_error_survives_the_trip_between_processes(kind):
    error = kind("what", status=500, code="C", request_id="r", retry_after_s=1.0, usage_tokens=(1, 2))
    error.app_id, error.attempts = "app2", 3
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (kind, str(error), vars(error))


@pytest.mark.parametrize("kind", [kind for kind in every_class() if kind is not DashScopeError])
def test_every_error_is_either_permanent_or_transient_and_has_its_word(kind):
    assert issubclass(kind, PermanentError) != issubclass(kind, TransientError)
    assert kind.reason not in ("error", "dashscope")
    assert issubclass(kind, AiAssetsError)
    assert str(kind()).startswith("DashScope: ")


def test_only_a_permanent_error_hard_stops_and_none_of_them_is_sent_again():
    for kind in every_class():
        if kind.effect in (Effect.HARD_STOP, Effect.OPENS):
            assert issubclass(kind, PermanentError)
        if issubclass(kind, PermanentError):
            assert kind.resend is Resend.NEVER
    assert errors.ThrottledError.effect is Effect.COOLDOWN
