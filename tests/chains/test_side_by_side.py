"""Working side by side: each item once, results told in one thread, an exception ends all of it."""

from __future__ import annotations

import threading

import pytest

from ai_assets.chains.side_by_side import side_by_side


def run(items, work, *, width=4, on_result=lambda _item, _result: None, cancelled=None, on_tick=None):
    side_by_side(
        items,
        work,
        width=width,
        cancelled=cancelled or threading.Event(),
        on_result=on_result,
        on_tick=on_tick,
    )


def test_each_item_is_worked_on_once_and_its_results_come_in_order_in_this_thread():
    seen: dict[int, list[str]] = {}
    threads = set()

    def work(item, tell):
        for part in "abc":
            tell(part)

    def on_result(item, result):
        threads.add(threading.get_ident())
        seen.setdefault(item, []).append(result)

    run(range(500), work, on_result=on_result)
    assert seen == {item: ["a", "b", "c"] for item in range(500)}
    assert threads == {threading.get_ident()}


def test_as_many_work_at_once_as_asked_for():
    together = threading.Barrier(4)
    run(range(8), lambda _item, _tell: together.wait(30) and None, width=4)
    assert not together.broken


def test_no_items_are_no_work():
    run([], lambda _item, _tell: pytest.fail("there was nothing to work on"))


def test_an_exception_of_the_listener_stops_what_has_not_begun_and_cancels_what_has():
    begun, cancelled = [], threading.Event()

    def work(item, tell):
        begun.append(item)
        tell(item)
        # in flight until it is told to give up
        assert cancelled.wait(30)

    def on_result(_item, _result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(range(100), work, width=3, on_result=on_result, cancelled=cancelled)
    assert len(begun) <= 3


def test_an_exception_of_the_work_goes_on_here():
    def work(item, _tell):
        if item == 5:
            raise ValueError("item 5")

    with pytest.raises(ValueError, match="item 5"):
        run(range(100), work)


def test_work_that_tells_faster_than_it_is_heard_waits():
    heard = threading.Event()
    ahead = []

    def work(_item, tell):
        for number in range(1000):
            tell(number)
            ahead.append(number)
            if len(ahead) >= 8:
                heard.set()

    most = []

    def on_result(_item, _result):
        heard.wait(30)
        most.append(len(ahead) - len(most))

    run([1], work, width=2, on_result=on_result)
    assert len(most) == 1000
    assert max(most) <= 4 * 2 + 2


def test_the_tick_comes_also_where_nothing_is_told():
    ticked = threading.Event()

    def tick():
        ticked.set()

    run([1], lambda _item, _tell: ticked.wait(30) and None, on_tick=tick)
    assert ticked.is_set()
