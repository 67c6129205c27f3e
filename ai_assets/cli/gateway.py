"""`ai-assets gateway`: the HTTP and WebSocket face, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ai_assets.cli import environment
from ai_assets.cli.context import Context
from ai_assets.errors import ConfigurationError
from ai_assets.settings import LOOPBACK_HOSTS

if TYPE_CHECKING:
    from ai_assets.chains.outcome import StepResult
    from ai_assets.chains.runtime import Runtime

PORT = 8600


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=PORT, show_default=True, help="Port; 0: any free one."
)
@click.pass_obj
def gateway(context: Context, host: str, port: int) -> int:
    """Serve events, results and live alerts over HTTP and WebSocket, until Ctrl-C."""
    try:
        from ai_assets.gateway.app import build_app
        from ai_assets.gateway.server import listening_socket, serve
    except ImportError as error:
        raise ConfigurationError(
            f"the gateway is not installed ({error.name} is missing): install the extra `gateway`"
        ) from None
    from ai_assets.chains.runtime import runtime_from

    sock = listening_socket(host, port)
    # a database that is away or has no tables yet is told at once
    context.engine(1).dispose()
    environment.apply(environment.variables(context.settings, context.database_url))
    settings = context.settings

    def runtime() -> Runtime:
        return runtime_from(settings, database_url=context.database_url, concurrency=settings.gateway_runs)

    def report(result: StepResult) -> None:
        from ai_assets.assets.by_hand import report as materialize

        materialize(context.dagster_instance(), result)

    app = build_app(settings, context.database_url, runtime, report)
    named = sock.getsockname()
    address = f"http://{f'[{host}]' if ':' in host else host}:{named[1]}"
    if host not in LOOPBACK_HOSTS:
        click.echo(
            "not on loopback, and without TLS: tokens pass in the clear unless a proxy has it", err=True
        )
    # on standard output and alone on its line: whoever starts this reads it
    serve(
        app, sock, lambda: click.echo(f"gateway: {address} (how to use it: {address}/docs); Ctrl-C ends it")
    )
    click.echo("stopped", err=True)
    return 0
