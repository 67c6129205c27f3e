"""`GET /docs`: how to use the gateway, as a page on which people also try it with their token.

So nothing on it comes from another host: Swagger UI is served from the package that ships it, and the page's
Content-Security-Policy lets the browser load and reach nothing but this gateway. Not here: the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

from fastapi import APIRouter, Response

_SHIPPED = files("fastapi_offline").joinpath("static")
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>ai-assets gateway</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# a token that was typed is forgotten with the page; no document or validator of another address is loaded
_START = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  validatorUrl: null,
  queryConfigEnabled: false,
  persistAuthorization: false,
});
"""
_HEADERS = {
    # data: Swagger UI has small pictures within its style sheet
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_PARTS = {
    "/docs": ("text/html", _PAGE),
    "/docs/start.js": ("text/javascript", _START),
    "/docs/swagger-ui-bundle.js": ("text/javascript", None),
    "/docs/swagger-ui.css": ("text/css", None),
}
PATHS = frozenset(_PARTS)
"""The page and what it loads."""


def routes() -> APIRouter:
    """The page and what it loads; none of them needs a token."""
    router = APIRouter(include_in_schema=False)
    for path in _PARTS:
        router.add_api_route(path, _serve(path), methods=["GET"])
    return router


def _serve(path: str) -> Callable[[], Response]:
    media_type, content = _PARTS[path]
    name = path.rpartition("/")[2]

    def serve() -> Response:
        shown = content if content is not None else _SHIPPED.joinpath(name).read_bytes()
        return Response(shown, media_type=media_type, headers=_HEADERS)

    return serve
