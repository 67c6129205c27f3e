"""The simulator as a running server: sockets, threads, start and stop.

Here: `Simulator`, the public face of the package. Not here: what is answered (`service`) and how it is sent
(`delivery`).

One thread with an event loop holds every connection, so that hundreds of slow, hanging or dripping calls cost
nothing, and closing the server ends them at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from ai_assets.errors import InputError
from ai_assets.simulator.delivery import CallerGoneError, Delivery, WatchedReader
from ai_assets.simulator.http11 import BadRequestError, read_request
from ai_assets.simulator.service import Service
from ai_assets.simulator.stats import Call
from ai_assets.simulator.wire import json_reply

BACKLOG: Final = 1024


def _now() -> datetime:
    return datetime.now(UTC)


class Simulator:
    """A local DashScope.

    `with Simulator(seed=1) as simulator: …` listens on `simulator.base_url` until the block ends. `host` must
    be a loopback address (it takes any key); `port` 0 takes a free one. `latency`, `fail` and `kind` set
    every app, as `configure` does; what is configured before the start is what `reset` goes back to.
    Raises InputError for wrong values and for a port that cannot be used.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        *,
        keep_prompts: int = 0,
        latency: float | Sequence[float] | None = None,
        fail: float | None = None,
        kind: str | None = None,
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
        new_id: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._host = _loopback(host)
        self._port = port
        self._service = Service(
            seed=seed, keep_prompts=keep_prompts, clock=clock, monotonic=monotonic, new_id=new_id
        )
        self.configure(latency=latency, fail=fail, kind=kind)
        self._bound_port: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """The base URL for a DashScope client, ends in /api/v1."""
        return f"{self.root_url}/api/v1"

    @property
    def root_url(self) -> str:
        """Where /stats, /control and /healthz are."""
        if self._bound_port is None:
            raise InputError("the simulator has no URL before it is started")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._bound_port}"

    def start(self) -> Simulator:
        """Listen, in a thread of its own; returns when requests are taken."""
        if self._thread is not None:
            raise InputError("the simulator is already started")
        ready = threading.Event()
        failures: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._serve(ready.set))
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits in start()
                failures.append(error)
            finally:
                ready.set()

        self._thread = threading.Thread(target=run, name="simulator", daemon=True)
        self._thread.start()
        ready.wait()
        if failures:
            self._thread.join()
            self._thread = None
            raise failures[0]
        return self

    def close(self) -> None:
        """Stop: every open call is cut off, hanging and dripping ones too. Closing twice is fine."""
        if self._thread is None:
            return
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None

    def serve_forever(self, on_ready: Callable[[], None] | None = None) -> None:
        """Listen in this thread, the process's main one, until SIGINT or SIGTERM; then return."""

        def ready() -> None:
            loop = asyncio.get_running_loop()
            if self._stop is not None:
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.add_signal_handler(number, self._stop.set)
            if on_ready is not None:
                on_ready()

        asyncio.run(self._serve(ready))

    def configure(
        self,
        app: str = "*",
        *,
        latency: float | Sequence[float] | None = None,
        fail: float | None = None,
        kind: str | None = None,
        times: int | None = None,
        retry_after: float | str | None = None,
        drip_ms: float | None = None,
    ) -> None:
        """Change one app, or all (`*`); what is None stays. Works before the start and while running.

        latency: seconds, or (least, most). fail: share of requests that get `kind` (without a kind: the one
        set before, at first internal_error; a kind alone means every request). times: the next N requests
        exactly, whatever the rate. retry_after: seconds or any text for that header on errors, "" for none.
        drip_ms: between two bytes of a dripping answer. Raises InputError.
        """
        self._service.control.change(
            {
                "app": app,
                "latency": latency,
                "fail": fail,
                "kind": kind,
                "times": times,
                "retry_after": retry_after,
                "drip_ms": drip_ms,
            }
        )

    def stats(self) -> dict[str, object]:
        """The counters, as GET /stats shows them (`stats.Stats.as_json`)."""
        return self._service.stats.as_json()

    def calls(self, app: str) -> list[Call]:
        """The kept calls of `app`, oldest first; none unless `keep_prompts` was given."""
        return self._service.stats.calls(app)

    def reset(self) -> None:
        """Settings as at the start, counters at zero, no sessions."""
        self._service.reset()

    async def _serve(self, ready: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._loop, self._stop = loop, asyncio.Event()
        self._service.control.mark_start()
        try:
            server = await loop.create_server(self._protocol, self._host, self._port, backlog=BACKLOG)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"the simulator cannot listen on {self._host} port {self._port}: {error}; choose another port"
            ) from error
        self._bound_port = server.sockets[0].getsockname()[1]
        try:
            ready()
            await self._stop.wait()
        finally:
            server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        reader = WatchedReader()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._connection(reader, writer))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

        return asyncio.StreamReaderProtocol(reader, connected)

    async def _connection(self, reader: WatchedReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except BadRequestError as error:
            writer.write(_bad_request(error))
        except ConnectionError:
            pass
        except asyncio.CancelledError:
            # A caller that does not read must not hold up the end.
            writer.transport.abort()
            raise
        finally:
            writer.close()

    async def _exchange(self, reader: WatchedReader, writer: asyncio.StreamWriter) -> bool:
        """Take one request and answer it; False when the connection is to be closed."""
        request = await read_request(reader, writer)
        if request is None:
            return False
        exchange = self._service.respond(request)
        reply = exchange.reply
        if not request.keep_alive:
            reply = reply.with_headers({"Connection": "close"})
        abandoned = True
        try:
            reusable = await Delivery(reader, writer).send(reply, exchange.decision)
            abandoned = False
        except CallerGoneError:
            return False
        finally:
            if exchange.counted:
                self._service.ended(abandoned=abandoned)
        return reusable and request.keep_alive


def _bad_request(error: BadRequestError) -> bytes:
    reply = json_reply(400, {"code": "InvalidParameter", "message": str(error)}, ascii_only=True)
    return reply.with_headers({"Connection": "close"}).head() + b"".join(reply.pieces)


def _loopback(host: str) -> str:
    """The address to bind. The name localhost is taken as 127.0.0.1, whatever a hosts file says of it."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise InputError(
        f"the simulator takes any key, so it listens on loopback only: {host!r} is refused, use 127.0.0.1"
    )
