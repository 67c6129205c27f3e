"""Work on many items side by side, their results told in one thread. Not here: what the work is, time limits."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

TICK_S = 1.0


@dataclass(frozen=True)
class _Told(Generic[Item, Result]):
    item: Item
    result: Result


def side_by_side(
    items: Iterable[Item],
    work: Callable[[Item, Callable[[Result], None]], None],
    *,
    width: int,
    cancelled: threading.Event,
    on_result: Callable[[Item, Result], None],
    on_tick: Callable[[], None] | None = None,
) -> None:
    """Call `work(item, tell)` for each item, at most `width` at once; what it tells goes to `on_result`, here.

    `on_tick` is called here too, at least every TICK_S. If `work`, `on_result`, `on_tick` or an interrupt
    raises, `cancelled` is set, no item begins any more, and the exception goes on when all threads have ended.
    Setting `cancelled` from outside stops nothing here: each item is for `work` to cut short.
    """
    # bounded: where results are told slower than made, the work waits and the memory stays flat
    told: queue.Queue[_Told[Item, Result] | None] = queue.Queue(4 * width)
    # no item begins any more; nobody listens any more
    stopping, deaf = threading.Event(), threading.Event()

    def put(what: _Told[Item, Result] | None) -> None:
        while not deaf.is_set():
            try:
                told.put(what, timeout=TICK_S / 2)
            except queue.Full:
                continue
            break

    def run_one(item: Item) -> None:
        work(item, lambda result: put(_Told(item, result)))

    def run(shared: Iterator[Item]) -> None:
        try:
            for item in shared:
                if stopping.is_set():
                    break
                run_one(item)
        except BaseException:
            stopping.set()
            cancelled.set()
            raise
        finally:
            # None: one of the threads is done
            put(None)

    def listen() -> None:
        left = width
        while left:
            try:
                what = told.get(timeout=TICK_S)
            except queue.Empty:
                pass
            else:
                if what is None:
                    left -= 1
                else:
                    on_result(what.item, what.result)
            if on_tick is not None:
                on_tick()

    shared = _Shared(items)
    with ThreadPoolExecutor(width) as pool:
        try:
            threads = [pool.submit(run, shared) for _ in range(width)]
            listen()
        except BaseException:
            stopping.set()
            deaf.set()
            cancelled.set()
            raise
    for thread in threads:
        # raises what the work raised
        thread.result()


class _Shared(Iterator[Item]):
    """One iterator for all threads."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def __next__(self) -> Item:
        with self._lock:
            return next(self._items)
