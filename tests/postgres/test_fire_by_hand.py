"""`ai-assets fire`: what it sends stands in the inbox, whatever comes after."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from ai_assets.cli.fire import fire
from ai_assets.store import inbox


def run(engine: Engine, *arguments: str) -> Result:
    context = SimpleNamespace(engine=lambda _pool_size: engine)
    return CliRunner().invoke(fire, arguments, obj=context, standalone_mode=False)


def test_the_event_is_committed_and_its_id_printed_before_it_is_read_back(inbox_of, monkeypatch):
    def broken(_connection, job_id: int) -> None:
        # on another connection, as a worker sees it
        assert inbox_of.count("biz.ai_trigger_jobs", "id = :id", id=job_id) == 1
        raise LookupError("it cannot be read")

    monkeypatch.setattr(inbox, "job", broken)
    done = run(inbox_of.engine, "consumption", "--site", "1001", "--member", "5")
    assert isinstance(done.exception, LookupError)
    assert done.stdout.strip() == str(inbox_of.value("select id from biz.ai_trigger_jobs"))


@pytest.mark.parametrize(
    ("payload", "chain"),
    [("{}", "app3→app8→app7→app4→app5"), ('{"has_assistant": false}', "app3→app8→app7")],
)
def test_an_assistant_that_is_given_was_there_unless_the_payload_says_otherwise(inbox_of, payload, chain):
    arguments = ("consumption", "--site", "1001", "--member", "5", "--assistant", "7", "--payload", payload)
    assert run(inbox_of.engine, *arguments).return_value == 0
    assert inbox_of.value("select app_chain from biz.ai_trigger_jobs") == chain


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--payload", '{"occurred_at": "0001-01-01T00:00:00+14:00"}'], "outside 1900-01-01 to 2999-12-31"),
        (["--payload", '{"x": ' + "1" * 401 + "}"], "a number of more than 400 digits"),
        (["--payload", '{"x": ' + "[" * 700 + "]" * 700 + "}"], "nested deeper than 64"),
        (["--member", "9" * 20], f"member_id is not a positive whole number up to {2**63 - 1}\n"),
    ],
)
def test_what_cannot_run_is_recorded_and_said(inbox_of, arguments, said):
    done = run(inbox_of.engine, "consumption", "--site", "1001", "--member", "5", *arguments)
    assert done.exception is None
    assert done.return_value == 1
    assert said in done.stderr
    assert inbox_of.count("biz.ai_trigger_jobs", "status = 'failed'") == 1
