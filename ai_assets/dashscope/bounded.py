"""One HTTP request that ends in time, whatever the server does.

The request runs on a bounded pool of worker threads; its caller waits no longer than the deadline, and then
shuts the socket of what is stuck (`attempt`), which frees the worker. Only a name lookup cannot be cut
short: it holds one worker, and no caller, until the resolver gives up.

Here: the workers, waiting with a deadline, cancelling, closing. Not here: retries (`client`), HTTP
(`transport`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

from ai_assets.dashscope.attempt import Attempt
from ai_assets.dashscope.errors import CallCancelledError, CallTimeoutError, ClientBusyError, DashScopeError
from ai_assets.dashscope.transport import Transport
from ai_assets.dashscope.wire import RawReply

_CANCEL_CHECK_S = 0.05


class BoundedSender:
    """Sends requests, at most `pool_size` at once. Safe for use by many threads."""

    def __init__(self, transport: Transport, *, pool_size: int, clock: Callable[[], float]) -> None:
        self._transport = transport
        self._clock = clock
        self._workers = ThreadPoolExecutor(pool_size, thread_name_prefix="dashscope")
        self._lock = threading.Lock()
        self._running: set[Attempt] = set()
        self._closed = False

    def send(
        self, path: str, body: bytes, deadline: float, cancelled: threading.Event | None
    ) -> RawReply | DashScopeError:
        """What the server answered, or the error in its place; by `deadline` on the clock at the latest.

        A full answer that is there when the time is up, or the call cancelled, counts: it was paid for.
        """
        if cancelled is not None and cancelled.is_set():
            return CallCancelledError()
        if not deadline > self._clock():
            return CallTimeoutError("the call's time was up before its request was sent")
        attempt = Attempt()
        with self._lock:
            if self._closed:
                return CallCancelledError("the client is closed")
            future = self._workers.submit(self._transport.send, attempt, path, body, deadline)
            self._running.add(attempt)
        try:
            self._wait(future, deadline, cancelled)
            return self._outcome(future, attempt, cancelled)
        finally:
            with self._lock:
                self._running.discard(attempt)
            attempt.abort()

    def close(self) -> None:
        """End every request under way, let the workers go, close the connections."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for attempt in running:
            attempt.abort()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._transport.close()

    def _wait(
        self, future: Future[RawReply | DashScopeError], deadline: float, cancelled: threading.Event | None
    ) -> None:
        while not future.done():
            remaining = deadline - self._clock()
            if remaining <= 0 or (cancelled is not None and cancelled.is_set()):
                return
            # One cannot wait for a future and an event together.
            slice_s = remaining if cancelled is None else min(remaining, _CANCEL_CHECK_S)
            with contextlib.suppress(TimeoutError, CancelledError):
                future.result(slice_s)

    def _outcome(
        self,
        future: Future[RawReply | DashScopeError],
        attempt: Attempt,
        cancelled: threading.Event | None,
    ) -> RawReply | DashScopeError:
        never_began = future.cancel()
        if future.done() and not never_began:
            result = future.result()
            if isinstance(result, RawReply) or not attempt.aborted:
                return result
        if self._closed:
            return CallCancelledError("the client was closed", may_be_billed=attempt.sent)
        if cancelled is not None and cancelled.is_set():
            return CallCancelledError(may_be_billed=attempt.sent)
        if never_began:
            return ClientBusyError()
        return CallTimeoutError("the call's time was up before its answer", may_be_billed=attempt.sent)
