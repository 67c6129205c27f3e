"""`ai-assets jobs …`: what a person sees, exit codes, and that wrong use starts nothing."""

from __future__ import annotations

import json
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from ai_assets.cli.jobs import jobs
from ai_assets.errors import InputError


@pytest.fixture
def run(inbox_of):
    """Run a command; (exit code, standard output, standard error)."""
    context = SimpleNamespace(
        engine=lambda _size=1: inbox_of.engine, settings=SimpleNamespace(zone=ZoneInfo("Asia/Shanghai"))
    )

    def once(*arguments: str):
        result = CliRunner().invoke(jobs, list(arguments), obj=context, standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result.return_value or 0, result.stdout, result.stderr

    return once


def failed(inbox_of, member: int = 555) -> int:
    job = inbox_of.fire("consumption", member_id=member, payload={"note": "王小明 13812345678"})
    inbox_of.claim(job.id)
    inbox_of.finish(job.id, status="failed", error="app3_clue: [red]timeout\x1b[0m")
    return job.id


def test_the_list_shows_the_newest_first_a_line_each_and_as_json(run, inbox_of):
    first, second = failed(inbox_of, 1), failed(inbox_of, 2)
    code, out, _ = run("list", "--state", "failed", "--json")
    assert code == 0
    assert [job["id"] for job in json.loads(out)] == [second, first]
    _, out, _ = run("list", "--site", "1001")
    assert [line.split()[:3] for line in out.splitlines()] == [
        [str(second), "failed", "consumption"], [str(first), "failed", "consumption"]
    ]  # fmt: skip
    assert "app3_clue: [red]timeout?[0m" in out
    assert "\x1b" not in out
    _, out, err = run("list", "--state", "dead")
    assert (out, err) == ("", "no such trigger job\n")


def test_show_tells_a_jobs_story_without_anybodys_words_unless_asked(run, inbox_of):
    job = failed(inbox_of)
    run("replay", str(job))
    code, out, _ = run("show", str(job))
    assert code == 0
    assert f"replayed as trigger job {job + 1}" in out
    assert "error: app3_clue: [red]timeout" in out
    assert "\x1b" not in out
    assert "王小明" not in out
    _, out, _ = run("show", str(job), "--payload", "--json")
    assert json.loads(out)[0]["payload"]["note"].startswith("王小明")
    code, _, err = run("show", "987654")
    assert (code, err) == (1, "there is no trigger job 987654\n")


def test_replay_says_what_became_of_each_and_may_be_run_twice(run, inbox_of):
    job = failed(inbox_of)
    _, out, err = run("replay", "--state", "failed", "--dry-run")
    assert "1 would be replayed; nothing was done" in err
    assert inbox_of.count("biz.ai_trigger_jobs") == 1
    code, out, err = run("replay", "--state", "failed", "--rate", "6000/min")
    assert (code, out) == (0, f"trigger job {job} replayed as {job + 1}\n")
    assert err == "1 replayed\n"
    code, out, err = run("replay", "--state", "failed")
    assert (code, out, err) == (0, "", "nothing to replay\n")
    code, out, _ = run("replay", str(job), str(job + 1), "987654")
    assert code == 1
    assert "was replayed before" in out
    assert "is pending: it runs by itself" in out
    assert "987654 is not there" in out


def test_replay_as_json_names_the_new_jobs(run, inbox_of):
    job = failed(inbox_of)
    code, out, err = run("replay", str(job), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"chosen": 1, "done": 1, "outcomes": {"replayed": 1}, "replays": [job + 1]}


def test_cancel_says_clearly_what_happened(run, inbox_of):
    waiting, ended = inbox_of.fire("consumption", member_id=1).id, failed(inbox_of, 2)
    running = inbox_of.fire("consumption", member_id=3).id
    inbox_of.claim(running)
    code, out, _ = run("cancel", str(waiting), "--reason", "sent by mistake", "--by", "kim")
    assert (code, out) == (0, f"trigger job {waiting} is cancelled: it had not begun, nothing was called\n")
    assert inbox_of.job(waiting).error_message == "cancelled by kim: sent by mistake"
    code, out, _ = run("cancel", str(ended), "987654")
    assert code == 1
    assert f"trigger job {ended} had ended already: failed" in out
    assert "987654 is not there" in out
    code, out, _ = run("cancel", str(running), "--wait", "0")
    assert code == 1
    assert "still runs: asked to stop" in out


@pytest.mark.parametrize("arguments", [
    ("replay",), ("replay", "--state", "borken"), ("replay", "5", "--rate", "often"), ("list", "--since", "soon"),
    ("show", "0"), ("cancel", "-1"),
])  # fmt: skip
def test_wrong_use_is_told_before_anything_is_done(run, arguments):
    with pytest.raises(InputError):
        run(*arguments[:1], "--", *arguments[1:]) if arguments[0] == "cancel" else run(*arguments)
