"""What a simulated call can come to: the error table of DashScope as data, and every other kind of trouble.

Here: names, codes, messages and one line of help each. Not here: how a kind is made to happen (`completion`,
`spoil`, `delivery`) or when (`behaviour`).

The codes and messages are those of the public error reference of Model Studio; the grouping is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OK: Final = "ok"
DEFAULT_KIND: Final = "internal_error"


@dataclass(frozen=True)
class ErrorRow:
    """One row of the error table: how a refusal looks on the wire."""

    kind: str
    status: int
    code: str
    message: str


ERROR_ROWS: Final = (
    ErrorRow("invalid_api_key", 401, "InvalidApiKey", "Invalid API-key provided."),
    ErrorRow("access_denied", 403, "AccessDenied", "Access denied."),
    ErrorRow(
        "access_denied_unpurchased",
        403,
        "AccessDenied.Unpurchased",
        "Access to model denied. Please make sure you are eligible for using the model.",
    ),
    ErrorRow("app_access_denied", 403, "App.AccessDenied", "App access denied."),
    ErrorRow("workspace_access_denied", 403, "Workspace.AccessDenied", "Workspace access denied."),
    ErrorRow("model_access_denied", 403, "Model.AccessDenied", "Model access denied."),
    ErrorRow(
        "free_tier_only",
        403,
        "AllocationQuota.FreeTierOnly",
        "The free tier of the model has been exhausted. If you wish to continue access the model on a paid "
        'basis, please disable the "use free tier only" mode in the management console.',
    ),
    ErrorRow("model_not_found", 404, "ModelNotFound", "Model can not be found."),
    ErrorRow("workspace_not_found", 404, "WorkSpaceNotFound", "WorkSpace can not be found."),
    ErrorRow("not_found", 404, "NotFound", "Not found!"),
    ErrorRow(
        "invalid_parameter",
        400,
        "InvalidParameter",
        "Required parameter(s) missing or invalid, please check the request parameters.",
    ),
    ErrorRow("bad_request", 400, "BadRequest.EmptyInput", "Required input parameter missing from request."),
    ErrorRow(
        "flow_not_published",
        400,
        "FlowNotPublished",
        "Flow has not published yet, please publish flow and try again.",
    ),
    ErrorRow(
        "data_inspection",
        400,
        "DataInspectionFailed",
        "Input or output data may contain inappropriate content.",
    ),
    ErrorRow("faq_rule_blocked", 400, "FaqRuleBlocked", "Input or output data is blocked by faq rule."),
    ErrorRow(
        "custom_role_blocked",
        400,
        "CustomRoleBlocked",
        "Input or output data may contain inappropriate content with custom rule.",
    ),
    ErrorRow(
        "arrearage", 400, "Arrearage", "Access denied, please make sure your account is in good standing."
    ),
    ErrorRow("too_large", 413, "BadRequest.TooLarge", "Payload Too Large"),
    ErrorRow("throttling", 429, "Throttling", "Requests throttling triggered."),
    ErrorRow(
        "rate_quota", 429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later."
    ),
    ErrorRow(
        "burst_rate",
        429,
        "Throttling.BurstRate",
        "Request rate increased too quickly. To ensure system stability, please adjust your client logic to "
        "scale requests more smoothly over time.",
    ),
    ErrorRow(
        "allocation_quota",
        429,
        "Throttling.AllocationQuota",
        "Allocated quota exceeded, please increase your quota limit.",
    ),
    ErrorRow("free_quota_exceeded", 429, "Throttling.AllocationQuota", "Free allocated quota exceeded."),
    ErrorRow("prepaid_bill_overdue", 429, "PrepaidBillOverdue", "The prepaid bill is overdue."),
    ErrorRow("postpaid_bill_overdue", 429, "PostpaidBillOverdue", "The postpaid bill is overdue."),
    ErrorRow("commodity_not_purchased", 429, "CommodityNotPurchased", "Commodity has not purchased yet."),
    ErrorRow(
        "internal_error",
        500,
        "InternalError",
        "An internal error has occured, please try again later or contact service support.",
    ),
    ErrorRow("internal_error_algo", 500, "InternalError.Algo", "inference internal error."),
    ErrorRow("system_error", 500, "SystemError", "An system error has occured, please try again later."),
    ErrorRow("model_service_failed", 500, "ModelServiceFailed", "Failed to request model service."),
    ErrorRow(
        "caller_fault_500",
        500,
        "InternalError.Algo",
        "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]",
    ),
    ErrorRow("request_timeout", 500, "RequestTimeOut", "Request timed out, please try again later."),
    ErrorRow(
        "internal_error_timeout",
        500,
        "InternalError.Timeout",
        "An internal timeout error has occured during execution, please try again later or contact service "
        "support.",
    ),
    ErrorRow("app_process_failed", 500, "AppProcessFailed", "Failed to proceed application request."),
    ErrorRow("invoke_plugin_failed", 500, "InvokePluginFailed", "Failed to invoke plugin."),
    ErrorRow(
        "service_unavailable",
        503,
        "ServiceUnavailable",
        "The service is temporarily unavailable, please try again later.",
    ),
    ErrorRow("model_unavailable", 503, "ModelUnavailable", "Model is unavailable, please try again later."),
    ErrorRow("gateway_timeout", 504, "GatewayTimeout", "The gateway timed out, please try again later."),
)
ERRORS: Final = {row.kind: row for row in ERROR_ROWS}

ODD_ERRORS: Final = {
    "bad_gateway_html": "HTTP 502 with an HTML page",
    "error_in_200_sse": "HTTP 200 text/event-stream that holds event:error with :HTTP_STATUS/400",
    "error_in_400_sse_framed": "HTTP 400 labelled application/json whose body is SSE-framed",
    "error_mid_stream": "streaming: good frames, then event:error; otherwise as error_in_200_sse",
}

DELIVERY_FAULTS: Final = {
    "hang": "reads the request and never answers",
    "hang_after_headers": "sends the headers and never the body",
    "drip": "headers at once, then the body one byte every drip_ms",
    "drip_headers": "headers and body one byte every drip_ms",
    "drop": "closes the connection before any byte of the answer",
    "drop_midway": "closes the connection in the middle of the body",
}

TEXT_FAULTS: Final = {
    "truncated": "the JSON text of the answer is cut off",
    "length": 'the same, with finish_reason "length"',
    "fenced": "the JSON text stands in a ```json fence",
    "prose": "prose before and after the JSON text",
    "single_quotes": "single quotes in place of double ones",
    "bom": "the text starts with a byte order mark",
    "nan": 'an extra key "confidence" that is NaN',
    "not_json": "plain prose, no JSON at all",
    "wrong_schema": "valid JSON whose keys hold the wrong types",
    "wrong_figure": "one figure of the answer is false",
    "wrong_figures": "every figure of the answer is false",
    "empty": 'text is ""',
    "null_output": "output is null",
    "nul": "a NUL character inside the answer, escaped as JSON wants it",
    "nul_raw": "a bare NUL character after the JSON text",
    "partial": "header x-dashscope-partialresponse: true",
}

USAGE_FAULTS: Final = {
    "missing_usage": "no usage",
    "usage_empty": "usage is {}",
    "negative_usage": "tokens below zero",
    "string_usage": "tokens as words",
    "huge_usage": "10^12 tokens",
    "absurd_usage": "negative_usage, string_usage and huge_usage in turn, counted under those names",
    "duplicate_models": "the same model twice in usage; their sum is right",
}

CAPTURE: Final = {
    "obeys": "does what a text in the prompt's data tells it to; a good answer where none does",
}

ABSURD_TURN: Final = ("negative_usage", "string_usage", "huge_usage")

GROUPS: Final[dict[str, dict[str, str]]] = {
    "errors": {row.kind: f"HTTP {row.status} {row.code}" for row in ERROR_ROWS},
    "errors in odd clothes": ODD_ERRORS,
    "delivery": DELIVERY_FAULTS,
    "text": TEXT_FAULTS,
    "usage": USAGE_FAULTS,
    "capture": CAPTURE,
}
"""Every kind of trouble by group, each with one line of help."""

KINDS: Final = (OK, *(kind for group in GROUPS.values() for kind in group))
