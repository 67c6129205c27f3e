"""Whoever wants to follow a run in its own process: a progress bar. Nothing depends on being followed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_assets.chains.cells import Cell
    from ai_assets.chains.outcome import StepResult
    from ai_assets.chains.worker_values import WorkerSummary

    Observer = Callable[[Cell, StepResult], None]

_worker_observer: ContextVar[Callable[[WorkerSummary], None] | None] = ContextVar(
    "worker_observer", default=None
)
_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Call `observer` for each cell that ends inside the block, in this thread."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def tell(cell: Cell, result: StepResult) -> None:
    """Tell the observer of this context, if there is one."""
    observer = _observer.get()
    if observer is not None:
        observer(cell, result)


@contextmanager
def worker_observed(observer: Callable[[WorkerSummary], None]) -> Iterator[None]:
    """Call `observer` with what each worker came to that ends inside the block, in this thread."""
    token = _worker_observer.set(observer)
    try:
        yield
    finally:
        _worker_observer.reset(token)


def tell_of_worker(summary: WorkerSummary) -> None:
    """Tell the observer of this context, if there is one."""
    observer = _worker_observer.get()
    if observer is not None:
        observer(summary)


_stop: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


@contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """Workers of this context stop when `stop` is set."""
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def stop_of_context() -> threading.Event | None:
    """What stops a worker of this context, or None."""
    return _stop.get()
