"""Which requests reach the Dagster web server. Pure ASGI. Not here: starting it (`ai_assets.cli.ui`).

The web server has no login, and takes GraphQL mutations from the query string of a GET and from forms. So any page
that a person's browser opens could launch runs: by a link, by a form, or by a name that resolves to this machine
(DNS rebinding). The rules:
- `Host` is an expected name: this machine's loopback names and those of AI_UI_HOSTS.
- `Origin` is absent (no browser, or a page that a person opens) or is the very server that is asked.
- Pages and files: GET and HEAD only. `/graphql`: POST of JSON, and WebSockets. `/report_asset_…`: POST.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_PORTS = {"http": 80, "https": 443}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class UiGuard:
    """An ASGI application in front of another. It answers 400, 403, 405 or 415 itself and passes the rest on.

    `hosts`: names besides loopback under which the server is asked, without port. `path_prefix`: as the web server's.
    """

    def __init__(self, app: App, hosts: Collection[str] = (), path_prefix: str = "") -> None:
        self._app = app
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in hosts}
        self._prefix = path_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on, or refuse it."""
        refused = None if scope["type"] == "lifespan" else self.refusal(scope)
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            # before it is accepted: the server answers the upgrade with 403
            await send({"type": "websocket.close", "code": 1008})
        else:
            status, why = refused
            body = f"{why}\n".encode()
            headers = [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
                (b"x-content-type-options", b"nosniff"),
            ]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason where this request is refused, else None."""
        host = _only(scope, b"host")
        if _name(host) not in self._hosts:
            return 403, "unexpected Host: add the name to AI_UI_HOSTS if people reach the UI by it"
        path = scope["path"].removeprefix(self._prefix).strip().strip("/")
        is_graphql = path == "graphql"
        if scope["type"] == "websocket":
            wrong = None if is_graphql else (403, "no WebSocket here")
        elif not (is_graphql or path.startswith("report_asset_")):
            wrong = None if scope["method"] in {"GET", "HEAD"} else (405, "only GET here")
        elif scope["method"] != "POST":
            wrong = 405, "only POST here"
        elif is_graphql and not _is_json(_only(scope, b"content-type")):
            wrong = 415, "only application/json here"
        else:
            wrong = None
        if wrong is None and not _is_same_origin(scope, host):
            wrong = 403, "not for a page of another origin"
        return wrong


def _only(scope: Scope, name: bytes) -> str:
    """The header's value; empty where it is missing or comes twice."""
    values = [value for key, value in scope["headers"] if key.lower() == name]
    return values[0].decode("latin-1").strip() if len(values) == 1 else ""


def _name(host: str) -> str:
    """The name in `host`, which is `name`, `name:port` or `[address]:port`; empty where it is none of these."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.netloc == host and "@" not in host else ""


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def _is_same_origin(scope: Scope, host: str) -> bool:
    if not any(key.lower() == b"origin" for key, _ in scope["headers"]):
        return True
    try:
        origin = urlsplit(_only(scope, b"origin"))
        asked = urlsplit(f"{origin.scheme}://{host}")
        ours = (asked.hostname, asked.port or _PORTS.get(origin.scheme))
        return origin.scheme in _PORTS and (origin.hostname, origin.port or _PORTS[origin.scheme]) == ours
    except ValueError:
        return False
