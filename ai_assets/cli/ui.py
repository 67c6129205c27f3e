"""`ai-assets ui`: Dagster's web server behind a guard against other sites' pages. Not here: its rules (`ui_guard`)."""

from __future__ import annotations

import os
from typing import Any

import click

from ai_assets.cli.context import Context
from ai_assets.cli.ui_guard import UiGuard
from ai_assets.errors import AiAssetsError
from ai_assets.settings import CHECKOUT

APP_MAKER = "create_app_from_workspace_process_context"
"""What dagster-webserver's command makes its ASGI app with."""


@click.command()
@click.option(
    "-w",
    "--workspace",
    default=str(CHECKOUT / "workspace.yaml"),
    type=click.Path(exists=True, dir_okay=False),
    help="Workspace file.  [default: the checkout's]",
)
@click.option("-h", "--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("-p", "--port", default=3000, show_default=True, help="Port to listen on.")
@click.pass_obj
def ui(context: Context, workspace: str, host: str, port: int) -> None:
    """Serve the Dagster UI, to this machine's browsers and to the host names of AI_UI_HOSTS, until Ctrl-C.

    Needs the environment of `ai-assets env`; `up` and `demo` start it themselves.
    """
    from dagster_webserver import cli as webserver

    make_app = getattr(webserver, APP_MAKER, None)
    if make_app is None:
        raise AiAssetsError(
            "this version of dagster-webserver makes its app in another way: nothing is served"
        )
    hosts = context.settings.ui_host_names

    def make_guarded(process_context: Any, path_prefix: str = "", *more: Any, **how: Any) -> UiGuard:
        return UiGuard(make_app(process_context, path_prefix, *more, **how), hosts, path_prefix)

    # the one place between the app and the server that runs it; everything else stays Dagster's own
    setattr(webserver, APP_MAKER, make_guarded)
    if os.environ.get("DAGSTER_HOME") is None:
        raise AiAssetsError("DAGSTER_HOME is not set: take the environment from `ai-assets env`")
    webserver.cli(args=["-w", workspace, "-h", host, "-p", str(port)], standalone_mode=False)
