"""The Retry-After header. Not here: what is done about it (`retrying`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_S = 86_400.0
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?")


def read_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds (0 to a day) that the server asks to wait; None if it does not say, or says nonsense.

    A date is taken against the response's own Date header, so that a wrong clock here does not matter, else
    against `now` (aware).
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    value = lowered.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), LONGEST_S)
    until = _http_date(value)
    sent = _http_date(lowered.get("date", "")) or now
    if until is None or sent is None:
        return None
    return min(max((until - sent).total_seconds(), 0.0), LONGEST_S)


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
