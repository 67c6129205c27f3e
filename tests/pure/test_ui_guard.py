"""Which requests the guard of the Dagster UI passes on: its own pages' and programs', not those of other sites."""

import asyncio
from typing import Any

import pytest

from ai_assets.cli.ui_guard import UiGuard

JSON = ("content-type", "application/json")


def ask(
    method: str, path: str, *headers: tuple[str, str], kind: str = "http", hosts: tuple[str, ...] = ()
) -> int | None:
    """The status that the guard answers with; None where it passes the request on."""
    passed: list[Any] = []
    sent: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        passed.append(scope)

    async def receive() -> Any:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    asyncio.run(UiGuard(app, hosts)(scope, receive, send))
    if passed:
        assert sent == []
        return None
    return 403 if kind == "websocket" else sent[0]["status"]


def host(name: str = "127.0.0.1:3000") -> tuple[str, str]:
    return "host", name


def origin(value: str) -> tuple[str, str]:
    return "origin", value


@pytest.mark.parametrize(
    "path", ["/", "/assets/app2_finance", "/server_info", "/logs/x", "/assets/graphql_x"]
)
def test_pages_and_files_are_read(path: str) -> None:
    assert ask("GET", path, host()) is None
    assert ask("HEAD", path, host()) is None


@pytest.mark.parametrize("name", ["localhost:3000", "LOCALHOST", "[::1]:3000", "127.0.0.1"])
def test_loopback_is_expected_under_each_of_its_names(name: str) -> None:
    assert ask("GET", "/", host(name)) is None


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (host("evil.example"),),
        (host("127.0.0.1.evil.example:3000"),),
        (host("evil@127.0.0.1"),),
        (host("127.0.0.1/"),),
        (host("127.0.0.1:x"),),
        (host("[::1"),),
        (host(), host("evil.example")),
    ],
    ids=str,
)
def test_another_name_that_resolves_to_this_machine_is_refused(headers: tuple[tuple[str, str], ...]) -> None:
    assert ask("GET", "/", *headers) == 403
    assert ask("POST", "/graphql", *headers, JSON) == 403
    assert ask("GET", "/graphql", *headers, kind="websocket") == 403


def test_a_name_that_is_configured_is_expected_and_others_are_not() -> None:
    hosts = ("ui.example",)
    assert ask("GET", "/", host("UI.example"), hosts=hosts) is None
    assert ask("GET", "/", host("x.ui.example"), hosts=hosts) == 403
    for named in ("ui.example", "ui.example:443"):
        assert ask("POST", "/graphql", host(named), JSON, origin("https://ui.example"), hosts=hosts) is None
    assert (
        ask("POST", "/graphql", host("ui.example"), JSON, origin("https://ui.example:8443"), hosts=hosts)
        == 403
    )


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/graphql\n", "//graphql"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
def test_graphql_is_never_asked_by_a_link(method: str, path: str) -> None:
    assert ask(method, path, host()) == 405


def test_graphql_takes_json_and_nothing_else() -> None:
    assert ask("POST", "/graphql", host(), JSON) is None
    assert ask("POST", "/graphql", host(), ("content-type", "Application/JSON; charset=utf-8")) is None
    for form in (
        "application/x-www-form-urlencoded",
        "text/plain",
        "text/plain; application/json",
        "application/graphql",
        "multipart/form-data; boundary=application/json",
    ):
        assert ask("POST", "/graphql", host(), ("content-type", form)) == 415
    assert ask("POST", "/graphql", host()) == 415
    assert ask("POST", "/graphql", host(), ("content-type", "text/plain"), JSON) == 415


FOREIGN = [
    "https://evil.example",
    "null",
    "",
    "http://127.0.0.1:3001",
    "http://localhost:3000",
    "http://127.0.0.1",
    "http://127.0.0.1:3000.evil.example",
    "file://127.0.0.1:3000",
    "http://[",
]


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("path", ["/graphql", "/report_asset_materialization/x", "/report_asset_check/x"])
def test_a_page_of_another_origin_changes_nothing(path: str, foreign: str) -> None:
    assert ask("POST", path, host(), JSON, origin(foreign)) == 403


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("path", ["/", "/logs/x", "/download_debug/x"])
def test_a_page_of_another_origin_reads_nothing(path: str, foreign: str) -> None:
    assert ask("GET", path, host(), origin(foreign)) == 403
    assert ask("GET", path, host(), origin("http://127.0.0.1:3000")) is None


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_page_of_another_origin_opens_no_socket(foreign: str) -> None:
    assert ask("GET", "/graphql", host(), origin(foreign), kind="websocket") == 403


def test_two_origins_are_a_foreign_one() -> None:
    ours = origin("http://127.0.0.1:3000")
    assert ask("POST", "/graphql", host(), JSON, ours, ours) == 403


def test_the_uis_own_pages_and_programs_are_served() -> None:
    ours = origin("http://127.0.0.1:3000")
    assert ask("POST", "/graphql", host(), JSON, ours) is None
    assert ask("GET", "/graphql", host(), ours, kind="websocket") is None
    assert ask("GET", "/graphql", host(), kind="websocket") is None
    assert ask("POST", "/report_asset_observation/x", host(), ours) is None
    assert ask("POST", "/report_asset_materialization/x", host()) is None


def test_every_other_path_is_only_read() -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        assert ask(method, "/anything", host(), JSON) == 405
    assert ask("GET", "/anything", host(), kind="websocket") == 403
    assert ask("GET", "/report_asset_materialization/x", host()) == 405


def test_with_a_path_prefix_the_same_holds_below_it() -> None:
    async def app(*_: Any) -> None: ...

    guard = UiGuard(app, path_prefix="/dagster")
    scope = {"type": "http", "method": "GET", "headers": [(b"host", b"localhost")]}
    assert guard.refusal({**scope, "path": "/dagster/graphql"}) is not None
    assert guard.refusal({**scope, "path": "/dagster/runs"}) is None
