"""HTTP: one request to DashScope and its whole response, or the error that came in its place.

Here: the session with its pool, timeouts of one request, the bound on a response, what the HTTP library's
failures mean. Not here: the total deadline's teeth (`attempt`, `client`), what a response says (`wire`).

Nothing is raised for a failed request: it is returned, made outside of the library's own exceptions, which
hold the request and with it the key.
"""

from __future__ import annotations

import errno
import http.client
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.utils import get_environ_proxies

from ai_assets.dashscope.attempt import CURRENT, Attempt, HoldingAdapter
from ai_assets.dashscope.errors import (
    AnswerTimeoutError,
    CallTimeoutError,
    ConnectionFailedError,
    DashScopeError,
    MalformedReplyError,
    ReplyTooLargeError,
)
from ai_assets.dashscope.key import KeyAuth
from ai_assets.dashscope.wire import RawReply
from ai_assets.errors import ConfigurationError
from ai_assets.settings import IN_THE_CLEAR, is_in_the_clear, is_loopback_url

_CHUNK_BYTES = 65_536
_LIBRARY_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,  # a read on what an abort has closed
)


@dataclass(frozen=True)
class Limits:
    """Bounds of one request: seconds to connect, seconds for one read, bytes of a whole response body."""

    connect_s: float = 10.0
    read_s: float = math.inf
    reply_bytes: int = 8 * 2**20


class Transport:
    """A pool of connections to one base URL. Safe for use by many threads."""

    def __init__(
        self,
        *,
        auth: KeyAuth,
        base_url: str,
        workspace: str,
        allow_http: bool,
        pool_size: int,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self.base_url = _checked_url(base_url, allow_http=allow_http)
        self._auth = auth
        self._limits = limits
        self._clock = clock
        self._session = _Session(self.base_url)
        self._session.auth = auth
        # The environment is read once, here, and for proxies and certificates alone: no ~/.netrc. Loopback
        # is never asked through a proxy, whatever NO_PROXY forgot.
        self._session.trust_env = False
        self._session.proxies = {} if is_loopback_url(self.base_url) else get_environ_proxies(self.base_url)
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        self._session.verify = bundle or True
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.clear()
        self._session.headers.update(
            {
                "User-Agent": "ai-assets",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "Content-Type": "application/json; charset=utf-8",
            }
        )
        if workspace:
            self._session.headers["X-DashScope-WorkSpace"] = _checked_header("DASHSCOPE_WORKSPACE", workspace)
        adapter = HoldingAdapter(pool_connections=2, pool_maxsize=pool_size, pool_block=False)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def send(self, attempt: Attempt, path: str, body: bytes, deadline: float) -> RawReply | DashScopeError:
        """POST `body` to `path` below the base URL and read the response to its end.

        `deadline` is on the clock given at construction; it shortens the timeouts, and `attempt.abort()`
        enforces it. Returns what came, of any status, or a DashScopeError.
        """
        remaining = deadline - self._clock()
        if remaining <= 0 or attempt.aborted:
            return CallTimeoutError("the call's time was up before its request was sent")
        token = CURRENT.set(attempt)
        try:
            return self._exchange(attempt, path, body, deadline, remaining)
        except _LIBRARY_ERRORS as exc:
            return self._meaning(exc, attempt, deadline, cut=remaining <= self._limits.read_s)
        finally:
            CURRENT.reset(token)
            attempt.finish()

    def close(self) -> None:
        """Close the idle connections; one in use closes when its request ends."""
        self._session.close()

    def _exchange(
        self, attempt: Attempt, path: str, body: bytes, deadline: float, remaining: float
    ) -> RawReply | DashScopeError:
        timeout = (min(self._limits.connect_s, remaining), min(self._limits.read_s, remaining))
        response = self._session.post(
            f"{self.base_url}{path}", data=body, timeout=timeout, stream=True, allow_redirects=False
        )
        try:
            content = bytearray()
            for chunk in _chunks(response.raw):
                content += chunk
                if len(content) > self._limits.reply_bytes:
                    return ReplyTooLargeError(
                        f"the reply has more than {self._limits.reply_bytes:,} bytes",
                        status=response.status_code,
                    )
                if self._clock() >= deadline:
                    return self._timed_out(attempt)
        finally:
            response.raw.close()  # a response read to its end has given its connection back before
        headers = {name.lower(): self._auth.hide(value) for name, value in response.headers.items()}
        # `requests` labels an event stream ISO-8859-1; what DashScope sends is UTF-8.
        text = self._auth.hide(content.decode("utf-8", "replace"))
        return RawReply(response.status_code, headers, text)

    def _meaning(self, exc: Exception, attempt: Attempt, deadline: float, *, cut: bool) -> DashScopeError:
        """The error that `exc` means. `cut`: the read timeout was cut to what was left of the call's time."""
        root = _root(exc)
        lost = isinstance(root, OSError) and root.errno == errno.ETIMEDOUT  # the network, not our clock
        timed_out = isinstance(exc, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError) and not lost
        if (timed_out and cut) or self._clock() >= deadline:
            return self._timed_out(attempt)
        if timed_out:
            return AnswerTimeoutError(f"nothing came from {self.base_url} for {self._limits.read_s:g} s")
        if isinstance(exc, urllib3.exceptions.DecodeError):
            return MalformedReplyError("the reply's content coding is broken")
        dropped = lost or isinstance(root, http.client.RemoteDisconnected | ConnectionError)
        stale = attempt.reused and not attempt.answered and dropped
        why = self._auth.hide(_said(root))
        error = ConnectionFailedError(
            f"{'lost the connection to' if attempt.sent else 'no connection to'} {self.base_url}: {why}",
            may_be_billed=attempt.sent and not stale,
        )
        error.stale = stale
        return error

    def _timed_out(self, attempt: Attempt) -> CallTimeoutError:
        return CallTimeoutError("the call's time was up before its answer", may_be_billed=attempt.sent)


class _Session(requests.Session):
    """Sends to one service only. Follows no redirect, and does not even read one's body unbounded to prepare for it."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._service = _service(base_url)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send `request`, which holds the key. Raises ConfigurationError where it is for another service."""
        if _service(request.url or "") != self._service:
            raise ConfigurationError(
                "a request to another service than that of DASHSCOPE_BASE_URL is refused"
            )
        return super().send(request, **options)

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002  its caller's signature
        return None


def _service(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def _chunks(raw: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    # read1 returns what one read of the socket gave; read(n) would wait for n bytes.
    while chunk := raw.read1(_CHUNK_BYTES, decode_content=True):
        yield chunk


def _root(exc: BaseException) -> BaseException:
    for _ in range(20):
        deeper = exc.__cause__ or exc.__context__
        if deeper is None:
            break
        exc = deeper
    return exc


def _said(root: BaseException) -> str:
    if isinstance(root, OSError) and root.strerror:
        return root.strerror
    return str(root) or type(root).__name__


def _checked_url(base_url: str, *, allow_http: bool) -> str:
    url = base_url.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise ConfigurationError(
            f"DASHSCOPE_BASE_URL is not an http(s) address ending in /api/v1: {base_url[:200]!r}"
        )
    if parts.username or parts.password:
        raise ConfigurationError("DASHSCOPE_BASE_URL must hold no user or password: the key goes in a header")
    if not allow_http and is_in_the_clear(url):
        raise ConfigurationError(IN_THE_CLEAR)
    return url


def _checked_header(name: str, value: str) -> str:
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        raise ConfigurationError(f"{name} holds a blank or a character outside ASCII: {value[:100]!r}")
    return value
