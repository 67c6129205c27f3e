"""The gateway as a process of its own: events taken in over HTTP, and alerts from their commit to the sockets.

Here: batches, single events on 50 connections, 500 sockets. Not here: the inbox by itself (`intake`). Clients, Postgres
and gateway share this machine's processors, as they would in nobody's installation.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from http.client import HTTPConnection
from itertools import count
from threading import Barrier, Thread
from urllib.parse import urlsplit

from sqlalchemy import Engine, text
from websockets.asyncio.client import connect

from ai_assets.store import tokens
from ai_assets.store.alerts import raise_alert
from ai_assets.store.engine import make_engine
from bench import figures
from bench.places import Places, ai_assets, places

BATCH = 100
BATCH_CLIENTS = 4
BATCH_S = 6.0
BATCH_TARGET = 3000.0
CONNECTIONS = 50
SINGLE_S = 6.0
SINGLE_PER_S = 400
"""Events a second from all connections together: a busy evening of hundreds of venues."""
SINGLE_TARGET_MS = 15.0
SOCKETS = 500
ALERTS = 100
ALERT_TARGET_MS = 100.0
SITE = 1001

_members = count(1)


def measure() -> list[figures.Figure]:
    """Events a second in batches, p95 of single ones, p95 from an alert's commit to 500 sockets."""
    with places() as place:
        url = place.database()
        engine = make_engine(url)
        with engine.begin() as connection:
            connection.execute(
                text(
                    "insert into biz.sites (site_id, name, timezone, is_active)"
                    f" values ({SITE}, '店', 'Asia/Shanghai', true)"
                )
            )
            _, token = tokens.create(connection, name="bench", role="operate", site_ids=None)
        with _gateway(place, url) as address:
            found = [
                figures.at_least(
                    "gateway", f"batches of {BATCH}: events a second", _batches(address, token), BATCH_TARGET
                ),
                *_single(address, token),
                *asyncio.run(_alerts(address, token, engine)),
            ]
        engine.dispose()
    return found


@contextmanager
def _gateway(place: Places, url: str) -> Iterator[str]:
    environment = {**place.variables(url), "AI_GATEWAY_RATE_PER_S": "1000000"}
    command = ai_assets("gateway", "--port", "0")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            address = next((word for word in line.split() if word.startswith("http")), "")
            if not address:
                raise SystemExit("the gateway did not start")
            yield address
        finally:
            process.terminate()


class _Client:
    """One connection that is kept open."""

    def __init__(self, address: str, token: str) -> None:
        where = urlsplit(address)
        self._http = HTTPConnection(where.hostname or "", where.port)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def send(self, body: bytes) -> None:
        self._http.request("POST", "/events", body, self._headers)
        answer = self._http.getresponse()
        answer.read()
        if answer.status != 202:
            raise SystemExit(f"the gateway answered {answer.status}")


def _event() -> dict[str, object]:
    return {
        "event_type": "consumption",
        "site_id": SITE,
        "member_id": next(_members),
        "payload": {"has_assistant": True, "assistant_id": 7, "settlement_id": 9, "paid": "128.00"},
    }


def _batches(address: str, token: str) -> float:
    start = Barrier(BATCH_CLIENTS + 1)
    sent: list[int] = []

    def run() -> None:
        client = _Client(address, token)
        start.wait(30)
        ends, mine = time.perf_counter() + BATCH_S, 0
        while time.perf_counter() < ends:
            client.send(json.dumps([_event() for _ in range(BATCH)]).encode())
            mine += BATCH
        sent.append(mine)

    threads = [Thread(target=run) for _ in range(BATCH_CLIENTS)]
    for thread in threads:
        thread.start()
    start.wait(30)
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    rate = sum(sent) / (time.perf_counter() - began)
    print(f"gateway: {rate:.0f} events a second in batches of {BATCH}", flush=True)
    return rate


def _single(address: str, token: str) -> list[figures.Figure]:
    paced, rate = _latencies(address, token, CONNECTIONS / SINGLE_PER_S)
    as_fast, most = _latencies(address, token, 0.0)
    return [
        figures.at_most(
            "gateway",
            f"single events, {CONNECTIONS} connections, {rate:.0f} a second in all: p95",
            figures.percentile(paced, 0.95) * 1000,
            SINGLE_TARGET_MS,
            " ms",
        ),
        figures.told(
            "gateway",
            f"the same, each connection as fast as it is answered: p95 at {most:.0f} a second",
            f"{figures.percentile(as_fast, 0.95) * 1000:.1f} ms",
        ),
    ]


def _latencies(address: str, token: str, every_s: float) -> tuple[list[float], float]:
    """Seconds that each answer took; `every_s`: a connection sends so often, 0: at once after an answer."""
    start = Barrier(CONNECTIONS)
    taken: list[float] = []

    def run(number: int) -> None:
        client = _Client(address, token)
        client.send(json.dumps(_event()).encode())
        start.wait(30)
        # side by side, not all at the same moment
        due = time.perf_counter() + every_s * number / CONNECTIONS
        ends = time.perf_counter() + SINGLE_S
        while time.perf_counter() < ends:
            if every_s:
                time.sleep(max(0.0, due - time.perf_counter()))
                due += every_s
            body = json.dumps(_event()).encode()
            began = time.perf_counter()
            client.send(body)
            taken.append(time.perf_counter() - began)

    threads = [Thread(target=run, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"gateway: single events, {len(taken) / SINGLE_S:.0f} a second", flush=True)
    return taken, len(taken) / SINGLE_S


async def _alerts(address: str, token: str, engine: Engine) -> list[figures.Figure]:
    """From the end of each commit to each of the sockets."""
    address = address.replace("http", "ws", 1)
    headers = {"Authorization": f"Bearer {token}"}
    committed: dict[str, float] = {}
    heard: list[tuple[str, float]] = []
    async with AsyncExitStack() as stack:
        sockets = []
        for _ in range(SOCKETS):
            socket = await stack.enter_async_context(
                connect(
                    f"{address}/ws/ai-alerts/{SITE}", additional_headers=headers, proxy=None, compression=None
                )
            )
            await socket.recv()
            sockets.append(socket)

        async def listen(socket: object) -> None:
            for _ in range(ALERTS):
                message = await socket.recv()  # type: ignore[attr-defined]
                heard.append((message, time.perf_counter()))

        listening = [asyncio.create_task(listen(socket)) for socket in sockets]

        def alert(number: int) -> None:
            raise_alert(engine, "failed", site_id=SITE, app_type="app3_clue", log_id=number + 1, window_s=0)
            committed[number + 1] = time.perf_counter()

        for number in range(ALERTS):
            await asyncio.to_thread(alert, number)
            await asyncio.sleep(0.15)
        await asyncio.wait_for(asyncio.gather(*listening), 60)
    late = [at - committed[json.loads(message)["log_id"]] for message, at in heard]
    print(f"gateway: {len(late)} alerts heard by {SOCKETS} sockets", flush=True)
    return [
        figures.exactly("gateway", f"{ALERTS} alerts, {SOCKETS} sockets: heard", len(late), ALERTS * SOCKETS),
        figures.at_most(
            "gateway",
            f"alert from commit to socket, {SOCKETS} sockets: p95",
            figures.percentile(late, 0.95) * 1000,
            ALERT_TARGET_MS,
            " ms",
        ),
    ]
