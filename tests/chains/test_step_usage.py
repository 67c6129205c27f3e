"""What a whole step is charged for an answer whose usage cannot be true: its estimate, marked, and never more."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ai_assets.chains.outcome import Outcome

MODEL = {"model_id": "qwen-plus", "input_tokens": 10, "output_tokens": 5}


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "many",
        7,
        {"models": None},
        {"models": []},
        {"models": {}},
        {"models": [None]},
        {"models": ["qwen-plus"]},
        {"models": [[MODEL]]},
        {"models": [{"models": [MODEL]}]},
        {"models": [{"model_id": "qwen-plus"}]},
        {"models": [{**MODEL, "input_tokens": -10}]},
        {"models": [{**MODEL, "output_tokens": -1}, MODEL]},
        {"models": [{**MODEL, "input_tokens": "10"}]},
        {"models": [{**MODEL, "input_tokens": "ten"}]},
        {"models": [{**MODEL, "input_tokens": 10.5}]},
        {"models": [{**MODEL, "input_tokens": 10.0}]},
        {"models": [{**MODEL, "input_tokens": True}]},
        {"models": [{**MODEL, "input_tokens": [10]}]},
        {"models": [{**MODEL, "input_tokens": {"value": 10}}]},
        {"models": [{**MODEL, "output_tokens": 10**12}]},
        {"models": [{**MODEL, "output_tokens": 2**63}]},
        {"models": [{**MODEL, "output_tokens": 10**300}]},
        {"models": [{**MODEL, "output_tokens": 1_000_001}]},
        {"models": [{**MODEL, "input_tokens": 600_000}, {**MODEL, "input_tokens": 600_000}]},
        {"models": [{**MODEL, "input_tokens": 0, "output_tokens": 0}]},
        {"models": [MODEL] * 3 + [{**MODEL, "input_tokens": None}]},
    ],
    ids=lambda usage: str(usage)[:60],
)
def test_usage_that_cannot_be_true_is_charged_at_the_estimate_and_marked(bench, serve, usage):
    server = serve(lambda peer, _request: peer.answer('{"clues": []}', usage=usage))
    result = bench.step(bench.runtime(base_url=server.base_url, daily_tokens=1_000_000))
    log = bench.one("select * from biz.ai_run_logs")
    estimate = len(log["request_prompt"]) + 1500
    assert (result.outcome, result.tokens_estimated) == (Outcome.SUCCESS, True)
    assert (log["tokens_used"], log["tokens_estimated"]) == (estimate, True)
    assert (log["tokens_in"], log["tokens_out"]) == (None, None)
    assert log["cost_cny"] > 0
    assert bench.assert_the_books_agree() == estimate
    assert bench.alerts() == []


def test_usage_as_words_for_numbers_of_thousands_of_digits_is_no_reply_at_all(bench, serve):
    many = "9" * 5000
    body = (
        '{"output":{"text":"{}"},"usage":{"models":[{"model_id":"m","input_tokens":' + many + "}]}}"
    ).encode()
    server = serve(lambda peer, _request: peer.respond(body))
    result = bench.step(bench.runtime(base_url=server.base_url))
    log = bench.one("select * from biz.ai_run_logs")
    assert (result.outcome, result.reason) == (Outcome.FAILED, "malformed_reply")
    assert bench.assert_the_books_agree() == 2 * (len(log["request_prompt"]) + 1500)


@pytest.mark.parametrize("tokens", [1, 1_000_000])
def test_usage_that_can_be_true_is_charged_as_told(bench, serve, tokens):
    usage = {"models": [{**MODEL, "input_tokens": tokens, "output_tokens": 0}]}
    server = serve(lambda peer, _request: peer.answer('{"clues": []}', usage=usage))
    result = bench.step(bench.runtime(base_url=server.base_url))
    assert (result.tokens_used, result.tokens_estimated) == (tokens, False)
    assert bench.assert_the_books_agree() == tokens


def test_cached_tokens_are_in_the_run_log_and_cost_less(bench, serve):
    usage = {"models": [{**MODEL, "input_tokens": 1000, "prompt_tokens_details": {"cached_tokens": 600}}]}
    server = serve(lambda peer, _request: peer.answer('{"clues": []}', usage=usage))
    bench.step(bench.runtime(base_url=server.base_url))
    log = bench.one("select * from biz.ai_run_logs")
    assert (log["tokens_in"], log["tokens_cached"], log["tokens_used"]) == (1000, 600, 1005)
    # of qwen-plus: 400 tokens at 0.0008 for 1,000, 600 at 0.00016, 5 of output at 0.002
    assert log["cost_cny"] == Decimal("0.000426")


def test_a_model_without_a_price_is_named_in_the_result_and_one_with_a_price_is_not(bench, serve):
    usage = {"models": [MODEL, {**MODEL, "model_id": "qwen9-new"}]}
    server = serve(lambda peer, _request: peer.answer('{"clues": []}', usage=usage))
    result = bench.step(bench.runtime(base_url=server.base_url))
    assert result.models_without_price == ("qwen9-new",)


def test_absurd_usage_teaches_the_estimate_nothing(bench, simulator):
    runtime = bench.runtime()
    bench.step(runtime)
    simulator.configure(kind="absurd_usage", fail=1.0)
    for member in (556, 557, 558):
        assert bench.step(runtime, member).outcome is Outcome.SUCCESS
    simulator.configure(fail=0.0)
    first, *absurd = bench.rows("select tokens_used, tokens_estimated from biz.ai_run_logs order by id")
    assert not first["tokens_estimated"]
    assert all(row["tokens_estimated"] for row in absurd)
    # the estimate by then: the most that the app was known to use
    assert {row["tokens_used"] for row in absurd} == {first["tokens_used"]}
    bench.assert_the_books_agree()
