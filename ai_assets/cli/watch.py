"""`ai-assets watch`: alerts and cache news as they happen, a line each, until Ctrl-C.

Here: what a line looks like, and which are shown. Not here: the listening (`ai_assets.store.listen`).
"""

from __future__ import annotations

import json
import re
import signal
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING

import click

from ai_assets.cli.context import Context

if TYPE_CHECKING:
    from ai_assets.store.listen import Heard, State

# what would steer a terminal, break the line or turn its reading order: C0, C1, line and direction marks
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@click.command()
@click.option("--site", "site_id", type=int, help="This site only, and what concerns no single site.")
@click.option("--json", "as_json", is_flag=True, help="Print each as a JSON object on a line of its own.")
@click.pass_obj
def watch(context: Context, site_id: int | None, as_json: bool) -> int:
    """Print alerts and cache news as they happen, until Ctrl-C."""
    from ai_assets.store.listen import listen

    # a polite kill ends it as Ctrl-C does; a shell's background job inherits SIGINT ignored
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        # a database that is away or has no tables yet is told at once, not tried for ever
        context.engine(1).dispose()
        for heard in listen(context.database_url, on_state=_tell):
            if concerns(heard, site_id):
                now = datetime.now(UTC).astimezone()
                click.echo(json_line(heard, now) if as_json else plain_line(heard, now))
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    return 0


def concerns(heard: Heard, site_id: int | None) -> bool:
    """Whether it is shown under `--site`: that site's, and what names no site, for it concerns every one."""
    return site_id is None or heard.payload.get("site_id") in (site_id, None)


def plain_line(heard: Heard, at: datetime) -> str:
    """One line for people: local time, site, what; an alert in red (click takes colours out off a terminal)."""
    told = {name: "" if value is None else printable(str(value)) for name, value in heard.payload.items()}
    site = told.get("site_id") or "-"
    start = f"{at:%Y-%m-%d %H:%M:%S}  site {site}  "
    if heard.channel == "ai_alert":
        of = " ".join(filter(None, (told.get("alert_type"), told.get("app_type"))))
        log = f" (run log {told['log_id']})" if told.get("log_id") else ""
        return click.style(f"{start}ALERT {of}: {told.get('message', '')}{log}", fg="red")
    word = "reused" if heard.payload.get("reused") is True else "updated"
    return f"{start}{word} {told.get('cache_type', '')} {told.get('target_id', '')} by {told.get('triggered_by', '')}"


def json_line(heard: Heard, at: datetime) -> str:
    """One JSON object: `at` (ISO 8601 with offset), `channel`, and the payload's own keys."""
    told = {"at": at.isoformat(), "channel": heard.channel}
    line = json.dumps({**told, **heard.payload, **told}, ensure_ascii=False)
    # such characters stand inside strings only, where JSON has an escape for them
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def printable(text: str) -> str:
    """The text without anything that steers a terminal; each such character becomes U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _tell(state: State) -> None:
    from ai_assets.store.listen import Listening

    if isinstance(state, Listening):
        again = " again; what happened in between was missed" if state.again else "; Ctrl-C ends it"
        click.echo(f"listening for alerts and cache news{again}", err=True)
    else:
        lost = f"the connection is lost ({printable(state.error)}); trying again in {state.wait_s:g} s"
        click.echo(click.style(lost, fg="yellow"), err=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
