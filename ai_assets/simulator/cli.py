"""The command `simulate`: the simulator as a process.

Here: options, and what is printed. Not here: the server (`server`), which knows no command line.
"""

from __future__ import annotations

import textwrap
from typing import Final

import click

from ai_assets.errors import InputError
from ai_assets.simulator.kinds import GROUPS
from ai_assets.simulator.replies import APPS
from ai_assets.simulator.server import Simulator

Latency = float | tuple[float, float]


def _latency(ctx: click.Context, param: click.Parameter, value: str | None) -> Latency | None:
    del ctx
    return None if value is None else _seconds(param, value)


def _app_latency(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> list[tuple[str, Latency]]:
    del ctx
    pairs = [_of_app(param, value) for value in values]
    return [(app, _seconds(param, given)) for app, given in pairs]


def _app_fail(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> list[tuple[str, float, str | None]]:
    del ctx
    made: list[tuple[str, float, str | None]] = []
    for value in values:
        app, given = _of_app(param, value)
        rate, colon, kind = given.partition(":")
        try:
            made.append((app, float(rate), kind if colon else None))
        except ValueError:
            raise click.BadParameter(f"{rate!r} is not a rate from 0 to 1", param=param) from None
    return made


def _of_app(param: click.Parameter, value: str) -> tuple[str, str]:
    app, equals, given = value.partition("=")
    if not equals:
        raise click.BadParameter(f"{value!r} is not of the form APP=VALUE", param=param)
    return app, given


def _seconds(param: click.Parameter, value: str) -> Latency:
    try:
        return float(value)
    except ValueError:
        low, _, high = value.partition("-")
    try:
        return float(low), float(high)
    except ValueError:
        message = f"{value!r} is neither seconds (1.5) nor a spread (0.5-2)"
        raise click.BadParameter(message, param=param) from None


def _kinds_help() -> str:
    lines = ["\b", f"Apps: {', '.join(APPS)}.", "Kinds of failure:"]
    for group, kinds in GROUPS.items():
        lines.append(f"  {group}:")
        lines.extend(textwrap.wrap(", ".join(kinds), 74, initial_indent="    ", subsequent_indent="    "))
    return "\n".join(lines)


_RUN_TIME_HELP: Final = (
    'While it runs: GET /stats (with ?prompts=1 the kept prompts), GET and POST /control ({"app": "app2a", '
    '"latency": 1.0 or [0.5, 2], "fail": 0.2, "kind": "throttling", "times": 3, "retry_after": 5, '
    '"drip_ms": 50}; app "*" is all), POST /control/reset, GET /healthz.'
)


@click.command(
    help=f"""Be a local DashScope on the loopback interface, until Ctrl-C. Any API key will do.

The first line printed is the base URL, for DASHSCOPE_BASE_URL.

{_RUN_TIME_HELP}

{_kinds_help()}
"""
)
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0: a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option(
    "--latency",
    metavar="S|MIN-MAX",
    callback=_latency,
    help="Seconds an answer takes, or a spread such as 0.5-2.",
)
@click.option("--fail", type=float, help="Share of the requests that fail, 0 to 1.")
@click.option("--kind", metavar="KIND", help="How they fail; alone: all of them. [default: internal_error]")
@click.option(
    "--app-latency",
    metavar="APP=S|MIN-MAX",
    callback=_app_latency,
    multiple=True,
    help="The same for one app; repeatable.",
)
@click.option(
    "--app-fail",
    metavar="APP=RATE[:KIND]",
    callback=_app_fail,
    multiple=True,
    help="The same for one app; repeatable.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same answers and failures.")
@click.option(
    "--keep-prompts",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    help="Keep the last N prompts of each app, for /stats?prompts=1.",
)
def simulate(
    port: int,
    host: str,
    latency: Latency | None,
    fail: float | None,
    kind: str | None,
    app_latency: list[tuple[str, Latency]],
    app_fail: list[tuple[str, float, str | None]],
    seed: int,
    keep_prompts: int,
) -> None:
    """Run the simulator until SIGINT or SIGTERM; exit code 2 and one line for a wrong value."""
    try:
        simulator = Simulator(
            host, port, seed, keep_prompts=keep_prompts, latency=latency, fail=fail, kind=kind
        )
        for app, app_seconds in app_latency:
            simulator.configure(app, latency=app_seconds)
        for app, rate, app_kind in app_fail:
            simulator.configure(app, fail=rate, kind=app_kind)
        simulator.serve_forever(lambda: click.echo(simulator.base_url))
    except InputError as error:
        raise click.BadParameter(str(error)) from error
