"""Work on many items side by side, their results told in one thread. Not here: what the work is, time limits."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
    told: queue.Queue[_Told[Item, Result] | Future[None]] = queue.Queue(4 * width)
    stopped = threading.Event()

    def put(what: _Told[Item, Result] | Future[None]) -> None:
        while not stopped.is_set():
            try:
                told.put(what, timeout=TICK_S / 2)
            except queue.Full:
                continue
            break

    def run_one(item: Item) -> None:
        work(item, lambda result: put(_Told(item, result)))

    def run(shared: Iterator[Item]) -> None:
        for item in shared:
            if stopped.is_set():
                break
            run_one(item)

    shared = _Shared(items)
    with ThreadPoolExecutor(width) as pool:
        try:
            for _ in range(width):
                pool.submit(run, shared).add_done_callback(put)
            left = width
            while left:
                try:
                    what = told.get(timeout=TICK_S)
                except queue.Empty:
                    what = None
                if isinstance(what, _Told):
                    on_result(what.item, what.result)
                elif what is not None:
                    left -= 1
                    # raises what the thread raised
                    what.result()
                if on_tick is not None:
                    on_tick()
        except BaseException:
            cancelled.set()
            stopped.set()
            raise


class _Shared(Iterator[Item]):
    """One iterator for all threads."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def __next__(self) -> Item:
        with self._lock:
            return next(self._items)
