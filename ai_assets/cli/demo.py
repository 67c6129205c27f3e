"""`ai-assets up` and `ai-assets demo`: everything on one machine, until Ctrl-C.

`up` serves what is there; `demo` first loads the venue sample, makes its insights and runs its newest events.
Without a key both use the simulator, and say so.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from subprocess import PIPE
from types import FrameType

import click
from sqlalchemy.exc import SQLAlchemyError

from ai_assets.cli import database, environment
from ai_assets.cli.context import Context
from ai_assets.cli.gateway import PORT as GATEWAY_PORT
from ai_assets.cli.prewarm import print_table, run_prewarm
from ai_assets.cli.processes import Children, is_free, require_free_port, script
from ai_assets.cli.work import stretches
from ai_assets.errors import AiAssetsError

SIMULATOR_LATENCY = "0.2-0.8"
UI_READY_S = 120.0
DEMO_EVENTS = 36
"""Enough that the members' assets are alive in the UI, few enough to wait for."""


port_option = click.option(
    "--port", default=3000, show_default=True, help="Port of the Dagster UI on 127.0.0.1."
)
gateway_port_option = click.option(
    "--gateway-port",
    type=click.IntRange(0, 65_535),
    help=f"Port of the gateway on 127.0.0.1.  [default: {GATEWAY_PORT}, or a free one where that is taken]",
)


@click.command()
@port_option
@gateway_port_option
@click.pass_obj
def up(context: Context, port: int, gateway_port: int | None) -> None:
    """Serve everything: Postgres, simulator without a key, Dagster, the gateway, until Ctrl-C."""
    require_free_port(port, "the Dagster UI")
    gateway_port = _gateway_port(gateway_port)
    with _ground(context) as children:
        _serve(children, port, gateway_port)


@click.command()
@click.option("--once", is_flag=True, help="End after the summary.")
@port_option
@gateway_port_option
@click.option("--sites", default=3, show_default=True, help="Sites of the venue sample.")
@click.option("--days", default=400, show_default=True, help="Days of the venue sample.")
@click.pass_obj
def demo(context: Context, once: bool, port: int, gateway_port: int | None, sites: int, days: int) -> int:
    """Load the venue sample, make its insights, and serve the Dagster UI and the gateway until Ctrl-C."""
    from ai_assets.samples.venue import last_finished_day, load_venue

    if not once:
        require_free_port(port, "the Dagster UI")
        gateway_port = _gateway_port(gateway_port)
    # of a database that somebody else made nobody is given a token unasked
    own_database = not context.settings.database_url.get_secret_value()
    with _ground(context) as children:
        end = last_finished_day(datetime.now(UTC))
        click.echo(f"loading the venue sample: {sites} sites, {days} days to {end}")
        loaded = load_venue(context.engine(), sites=sites, days=days, end=end)
        outcomes = run_prewarm(context, loaded.sites, as_of=None, forced=False)
        print_table(outcomes)
        failed = _run_events(context) or not all(outcome.ok for outcome in outcomes)
        if not once:
            with demo_token(context) if own_database else nullcontext() as token:
                _serve(children, port, gateway_port or 0, token)
        return 1 if failed else 0


def _run_events(context: Context) -> bool:
    """Send the sample's newest events and be the worker that runs them; True where a step gave no result."""
    from ai_assets.samples.history import History
    from ai_assets.samples.replay import Tally, replay, to_inbox

    engine = context.engine(2)
    tally = Tally()
    replay(History(engine, limit=DEMO_EVENTS).events(), to_inbox(engine), tally)
    engine.dispose()
    click.echo(
        f"business events: sent the newest {tally.sent} settlements, notes and tasks "
        f"({tally.taken_in} new, {tally.duplicates} known already); running their chains"
    )
    failed = False
    stop = threading.Event()
    try:
        for summary in stretches(context, stop, until_empty=True):
            click.echo(f"chains of members: {summary.sentence()}")
            failed = failed or summary.failed_steps > 0
    finally:
        stop.set()
    return failed


@contextmanager
def _ground(context: Context) -> Iterator[Children]:
    """Postgres, tables and DashScope (or the simulator), with the environment set; all of it ends after."""
    from ai_assets.store import embedded

    # a polite kill ends everything as Ctrl-C does; a shell's background job inherits SIGINT ignored
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    settings = context.settings
    ours = not settings.database_url.get_secret_value() and embedded.running(settings.home) is None
    try:
        with Children(settings.home / "logs") as children:
            database.start(context)
            database.migrate(context)
            if not settings.dashscope_api_key.get_secret_value() and not settings.dashscope_is_loopback:
                _use_simulator(children)
            environment.apply(environment.variables(context.settings, context.database_url))
            try:
                yield children
            except KeyboardInterrupt:
                click.echo("\nstopping …")
    finally:
        if ours:
            embedded.stop(settings.home)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _use_simulator(children: Children) -> None:
    command = [script("ai-assets"), "simulate", "--port", "0", "--latency", SIMULATOR_LATENCY]
    child = children.start("simulator", command, stdout=PIPE)
    assert child.process.stdout is not None  # noqa: S101  # it is a pipe
    line = child.process.stdout.readline()
    base_url = next((word for word in line.split() if word.startswith("http://127.0.0.1")), "")
    if not base_url:
        raise AiAssetsError(f"the simulator did not start; see {child.log}:\n{child.tail()}")
    values = environment.simulator_variables(base_url)
    environment.apply(values)
    widened = ", ".join(f"{name}={values[name]}" for name in environment.DEMO_LIMITS if name in values)
    click.echo(f"no DASHSCOPE_API_KEY: using the simulator at {base_url}, which costs nothing")
    if widened:
        click.echo(f"limits widened for the simulator: {widened}")


def _gateway_port(given: int | None) -> int:
    if given is None:
        return GATEWAY_PORT if is_free(GATEWAY_PORT) else 0
    if given:
        require_free_port(given, "the gateway", "--gateway-port")
    return given


@contextmanager
def demo_token(context: Context) -> Iterator[str]:
    """A token for who tries the demo: it may all, on this machine's sample, and ends with the demo or in a day."""
    from ai_assets.store import tokens

    engine = context.engine(1)
    with engine.begin() as connection:
        made, token = tokens.create(connection, name="demo", role="operate", site_ids=None, days=1)
    try:
        yield token
    finally:
        with suppress(SQLAlchemyError), engine.begin() as connection:
            tokens.revoke(connection, made.id)
        engine.dispose()


def _start_gateway(children: Children, port: int) -> str:
    """Start it; returns its address, empty where the extra is not installed."""
    if any(find_spec(name) is None for name in ("fastapi", "fastapi_offline", "uvicorn")):
        click.echo("no gateway: the extra `gateway` is not installed")
        return ""
    child = children.start("gateway", [script("ai-assets"), "gateway", "--port", str(port)], stdout=PIPE)
    assert child.process.stdout is not None  # noqa: S101  # it is a pipe
    line = child.process.stdout.readline()
    address = next((word for word in line.split() if word.startswith("http://127.0.0.1")), "")
    if not address:
        raise AiAssetsError(f"the gateway did not start; see {child.log}:\n{child.tail()}")
    return address


def _serve(children: Children, port: int, gateway_port: int, token: str | None = None) -> None:
    from ai_assets.settings import CHECKOUT

    gateway = _start_gateway(children, gateway_port)

    workspace = str(CHECKOUT / "workspace.yaml")
    child = children.start(
        "webserver", [script("ai-assets"), "ui", "-w", workspace, "-h", "127.0.0.1", "-p", str(port)]
    )
    daemon = children.start("daemon", [script("dagster-daemon"), "run", "-w", workspace])
    address = f"http://127.0.0.1:{port}"
    click.echo(f"starting Dagster (logs: {child.log}, {daemon.log}) …")
    _wait_until_ready(address, lambda: child.process.poll() is None)
    click.echo(
        f"\nDagster UI: {address}\n"
        f"  assets and their lineage   {address}/asset-groups\n"
        f"  insights, area x time      {address}/assets/app2_finance?view=partitions\n"
        f"  clues of members           {address}/assets/app8_consolidation?view=partitions\n"
        f"  runs                       {address}/runs\n"
        f"  sensors and schedules      {address}/automation\n"
        "Try: click a cell of app2_finance, read its prompt and answer, press Materialize.\n"
        "Send an ETL batch's event:   ai-assets fire dws_completed --site 1001 --forced\n"
        "Send a member's event:       ai-assets fire consumption --site 1001 --member 555 --assistant 7 --forced\n"
        f"{_gateway_words(gateway, token)}"
        "Ctrl-C stops everything."
    )
    sys.stdout.flush()
    children.watch()


def _gateway_words(address: str, token: str | None) -> str:
    if not address:
        return ""
    words = f"\nGateway: {address}  (how to use it: {address}/docs)\n"
    if token is None:
        return words + "Make a token for it:         ai-assets token create NAME --role read --site S\n"
    return words + (
        f"  token of this demo         {token}\n"
        f"Try: curl -H 'Authorization: Bearer {token}' {address}/sites/1001/alerts\n"
    )


def _wait_until_ready(address: str, alive: object) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=UI_READY_S)
    while datetime.now(UTC) < ends and callable(alive) and alive():
        try:
            with urllib.request.urlopen(f"{address}/server_info", timeout=2) as answer:  # noqa: S310  # loopback
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AiAssetsError(f"the Dagster UI did not come up at {address} within {UI_READY_S:.0f} s")
