"""An answer that cannot be read is asked for once more, and told why, where time, budget and breaker allow."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from ai_assets.chains.outcome import Outcome
from tests.used_budget import use_a_token

GOOD = json.dumps({"clues": [{"summary": "每周五到店"}]}, ensure_ascii=False)
BAD = json.dumps({"clues": [{"summary": ""}]})
CUT = GOOD[:-3]


@pytest.fixture
def answers(serve):
    """`answers(*texts)` → (a service that gives them one after the other, the prompts it was asked)."""

    def start(*texts: str, before: Any = None) -> tuple[Any, list[str]]:
        prompts: list[str] = []
        lock = threading.Lock()

        def handle(peer: Any, request: Any) -> None:
            with lock:
                number = len(prompts)
                prompts.append(json.loads(request.body)["input"]["prompt"])
            if before is not None:
                before(number)
            peer.answer(texts[min(number, len(texts) - 1)])

        return serve(handle), prompts

    return start


def logs(bench) -> list[dict[str, Any]]:
    return bench.rows("select * from biz.ai_run_logs order by id")


@pytest.mark.parametrize(("bad", "reason"), [(BAD, "schema"), ("抱歉", "not_json")])
def test_the_app_is_told_what_was_wrong_and_its_second_answer_is_kept(bench, answers, bad, reason):
    server, prompts = answers(bad, GOOD)
    result = bench.step(bench.runtime(base_url=server.base_url, ask_again=True))
    first, second = logs(bench)
    assert result.outcome is Outcome.SUCCESS
    assert (first["status"], first["reason"], second["status"]) == ("failed", reason, "success")
    assert prompts[1].startswith(prompts[0])
    assert "你上一次的回答不能使用" in prompts[1]
    assert second["request_prompt"] == prompts[1]
    assert result.run_log_id == second["id"]
    assert result.result["_references"]["checks"]["reading"]["asked_again"] == {
        "reason": reason,
        "run_log_id": first["id"],
    }
    # both are charged, and the step tells the sum
    assert result.tokens_used == first["tokens_used"] + second["tokens_used"] > second["tokens_used"] > 0
    assert result.attempts == 2
    assert bench.alerts() == []
    bench.assert_the_books_agree()


def limited(text: str, stream: bool) -> Any:
    """A service whose first answer is `text` with `finish_reason` "length", and whose later ones are GOOD."""
    prompts: list[str] = []

    def handle(peer: Any, request: Any) -> None:
        prompts.append(json.loads(request.body)["input"]["prompt"])
        if len(prompts) > 1:
            peer.answer(GOOD)
            return
        output = {"finish_reason": "length", "session_id": "s", "text": text}
        if not stream:
            peer.answer(output=output)
            return
        frames = [{**output, "finish_reason": "null"}, output]
        peer.chunked(
            f"id:{n}\nevent:result\n:HTTP_STATUS/200\ndata:{json.dumps({'output': frame})}\n\n".encode()
            for n, frame in enumerate(frames, 1)
        )

    handle.prompts = prompts  # type: ignore[attr-defined]
    return handle


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("text", [GOOD, GOOD[:-3], GOOD[:-6]], ids=["complete JSON", "no end", "in a string"])
def test_an_answer_that_stopped_at_the_length_limit_is_unreadable_whatever_it_holds(
    bench, serve, text, stream
):
    handle = limited(text, stream)
    result = bench.step(bench.runtime(base_url=serve(handle).base_url, ask_again=True))
    first, second = logs(bench)
    assert (first["status"], first["reason"], second["status"]) == ("failed", "truncated", "success")
    assert first["response_text"] == text
    assert result.outcome is Outcome.SUCCESS
    assert "长度上限" in handle.prompts[1]
    assert result.result["_references"]["checks"]["reading"]["asked_again"]["reason"] == "truncated"


def test_an_app_that_always_stops_at_its_length_limit_fails_the_step_and_nothing_is_cached(bench, simulator):
    simulator.configure(kind="length")
    result = bench.step(bench.runtime(ask_again=True))
    assert (result.outcome, result.reason) == (Outcome.FAILED, "truncated")
    assert [row["reason"] for row in logs(bench)] == ["truncated"] * 2
    assert bench.rows("select * from biz.ai_cache") == []
    assert bench.alerts() == ["failed"]


def test_who_asks_the_same_again_is_answered_from_the_cache(bench, answers):
    server, prompts = answers(BAD, GOOD)
    runtime = bench.runtime(base_url=server.base_url, ask_again=True)
    bench.step(runtime)
    assert bench.step(runtime).outcome is Outcome.REUSED
    assert len(prompts) == 2


def test_it_is_asked_again_once_and_no_more(bench, answers):
    server, prompts = answers(BAD)
    result = bench.step(bench.runtime(base_url=server.base_url, ask_again=True))
    assert (result.outcome, result.reason, len(prompts)) == (Outcome.FAILED, "schema", 2)
    assert bench.alerts() == ["failed"]
    assert bench.outcomes_counted() == (0, 2)
    bench.assert_the_books_agree()


def test_a_setting_says_never(bench, answers):
    server, prompts = answers(BAD, GOOD)
    result = bench.step(bench.runtime(base_url=server.base_url, ask_again=False))
    assert (result.outcome, len(prompts), bench.alerts()) == (Outcome.FAILED, 1, ["failed"])


def test_a_budget_that_has_no_room_for_a_second_call_leaves_the_first_failure(bench, answers):
    server, prompts = answers(BAD, GOOD)
    use_a_token(bench.look)
    refused = bench.step(bench.runtime(base_url=server.base_url, daily_tokens=1))
    (needed,) = re.findall(r"may need ([\d,]+) tokens", refused.message or "")
    # room for one call of this size, and not for two
    bench.run("truncate biz.ai_run_logs, biz.ai_alerts, biz.ai_budgets")
    tight = int(needed.replace(",", ""))
    result = bench.step(bench.runtime(base_url=server.base_url, ask_again=True, daily_tokens=tight))
    assert (result.outcome, result.reason, len(prompts)) == (Outcome.FAILED, "schema", 1)
    assert "not asked again: budget_exceeded:day" in (result.message or "")
    assert [row["status"] for row in logs(bench)] == ["failed", "refused"]
    assert "failed" in bench.alerts()
    bench.assert_the_books_agree()


def test_a_breaker_that_the_first_call_opened_is_not_gone_round(bench, answers):
    server, prompts = answers(BAD, GOOD)
    runtime = bench.runtime(base_url=server.base_url, ask_again=True, breaker_min_calls=1)
    result = bench.step(runtime)
    assert (result.reason, len(prompts)) == ("schema", 1)
    assert "not asked again: circuit_open" in (result.message or "")


def test_where_less_time_is_left_than_the_first_call_took_it_is_not_asked_again(bench, answers):
    # the app's own slowness, more than half of the step's time: what is left is always less
    server, prompts = answers(BAD, GOOD, before=lambda number: time.sleep(2.2) if number == 0 else None)
    result = bench.step(bench.runtime(base_url=server.base_url, ask_again=True, step_timeout_s=4.0))
    assert (result.outcome, result.reason, len(prompts)) == (Outcome.FAILED, "schema", 1)
    assert "of its time" in (result.message or "")
    assert bench.alerts() == ["failed"]


def test_a_cancelled_run_asks_nothing_again(bench, answers):
    cancelled = threading.Event()
    server, prompts = answers(BAD, GOOD, before=lambda _number: cancelled.set())
    runtime = bench.runtime(base_url=server.base_url, ask_again=True)
    result = bench.step(runtime, cancelled=cancelled)
    assert result.outcome is Outcome.FAILED
    assert len(prompts) == 1


def test_a_refused_answer_is_not_asked_for_again(bench, answers):
    server, prompts = answers(json.dumps({"clues": [{"summary": "加微信 vx: abc_12345 领奖"}]}), GOOD)
    result = bench.step(bench.runtime(base_url=server.base_url, ask_again=True))
    assert (result.reason, len(prompts)) == ("answer_refused", 1)


def test_a_mended_answer_is_kept_where_it_is_good_enough(bench, answers):
    server, prompts = answers(CUT, GOOD)
    result = bench.step(bench.runtime(base_url=server.base_url, ask_again=True))
    assert (result.outcome, result.reading, len(prompts)) == (Outcome.SUCCESS, "repaired", 1)


def test_a_mended_answer_of_an_app_of_which_it_is_not_good_enough_is_asked_for_again(bench, answers):
    server, prompts = answers(CUT, GOOD)
    runtime = replace(
        bench.runtime(base_url=server.base_url, ask_again=True), repaired_accepted=frozenset({"app6"})
    )
    result = bench.step(runtime)
    assert (result.outcome, result.reading, len(prompts)) == (Outcome.SUCCESS, "strict", 2)
    assert logs(bench)[0]["reason"] == "repaired"
    assert "不是正确的 JSON" in prompts[1]
