"""A thousand requests at once for one answer that nobody has yet: who computes it, and who waits.

For each library an application (``stampede_app.py``) runs under uvicorn with four workers beside a
Redis of its own. A thousand connections are opened; then each sends one request for the same cold
key. Shown is the median of :data:`ROUNDS` such stampedes: how many times the answer was computed,
how long the requests that did
not fail took, and how many failed. "no cache" says what the machine, the framework and
this program take by themselves. Names of rows as arguments show only these.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, sleep

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from servers import Server, free_port

HOST = "127.0.0.1"
ROUNDS = 5
REQUESTS = 1000
WORKERS = 4
#: Seconds after which a request has failed.
PATIENCE = 30

ROWS = (
    "no cache",
    "one future per worker",
    "cachine, async",
    "cachine, sync",
    "cashews lock=True",
    "aiocache cached",
    "aiocache cached_stampede",
    "dogpile.cache",
    "fastapi-cache2",
)


class Connection(asyncio.Protocol):
    """A connection that sends one request after the other, and no more than it must."""

    def __init__(self) -> None:
        self.received = b""
        self.done: asyncio.Future[bool] | None = None
        self.since = self.taken = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self, request: bytes) -> asyncio.Future[bool]:
        """Send; whether the answer is well."""
        self.received = b""
        self.done = asyncio.get_running_loop().create_future()
        self.since = perf_counter()
        if self.transport.is_closing():
            self._end(False)
        else:
            self.transport.write(request)
        return self.done

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return
        _, _, length = head.lower().partition(b"content-length: ")
        if len(body) >= int(length.split(b"\r\n")[0] or 0):
            self._end(head.startswith(b"HTTP/1.1 200 "))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(False)

    def _end(self, is_well: bool) -> None:
        self.taken = perf_counter() - self.since
        if self.done is not None and not self.done.done():
            self.done.set_result(is_well)


def request(path: str) -> bytes:
    """A request as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: stampede\r\n\r\n".encode()


async def stampedes(port: int, runs: Path) -> list[tuple[float, ...]]:
    """Computations, p50, p99, total and errors of each round."""
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(REQUESTS):
        _, connection = await loop.create_connection(Connection, HOST, port)
        connections.append(connection)
    # Everything is imported and connected before it counts.
    for path in ("/ready", "/ready"):
        await asyncio.wait([each.ask(request(path)) for each in connections], timeout=PATIENCE)
    rounds = []
    for number in range(-1, ROUNDS):
        before = runs.stat().st_size
        words = request(f"/item/{number % 1000}")
        since = perf_counter()
        waiting = [each.ask(words) for each in connections]
        done, late = await asyncio.wait(waiting, timeout=PATIENCE)
        total = perf_counter() - since
        taken = sorted(
            each.taken for each, one in zip(connections, waiting) if one in done and one.result()
        )
        errors = REQUESTS - len(taken)
        computed = runs.stat().st_size - before
        if number >= 0 and taken:
            rounds.append(
                (computed, taken[len(taken) // 2], taken[len(taken) * 99 // 100], total, errors)
            )
        # Servers close a connection whose request has failed.
        for place, each in enumerate(connections):
            if late or each.transport.is_closing():
                each.transport.abort()
                _, connections[place] = await loop.create_connection(Connection, HOST, port)
    for connection in connections:
        connection.transport.close()
    return rounds


class Application:
    """An application under uvicorn, with the processes that belong to it."""

    def __init__(self, name: str, redis: int, folder: Path) -> None:
        self.port = free_port()
        self.runs = folder / "runs"
        self.runs.touch()
        self.log = folder / "log"
        environment = {
            **os.environ,
            "STAMPEDE_PEER": name,
            "STAMPEDE_REDIS": str(redis),
            "STAMPEDE_RUNS": str(self.runs),
        }
        command = [sys.executable, "-m", "uvicorn", "--factory", "stampede_app:application"]
        command += ["--app-dir", str(HERE), "--port", str(self.port), "--backlog", "4096"]
        command += ["--workers", str(WORKERS), "--no-access-log", "--log-level", "info"]
        # No connection is closed because the round before took long.
        command += ["--timeout-keep-alive", "300"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def __enter__(self) -> Application:
        end = perf_counter() + PATIENCE
        while self.said().count("Application startup complete") < WORKERS:
            if self.process.poll() is not None or perf_counter() > end or "Error" in self.said():
                self.__exit__()
                raise RuntimeError(self.said())
            sleep(0.05)
        return self

    def said(self) -> str:
        """What it logged."""
        return self.log.read_text(errors="replace")

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)  # The group is its own.
            self.process.wait()


def show(name: str) -> None:
    """Print a row."""
    with tempfile.TemporaryDirectory() as folder, Server() as redis:
        try:
            with Application(name, redis.port, Path(folder)) as application:
                rounds = asyncio.run(stampedes(application.port, application.runs))
        except RuntimeError as error:
            print(f"  {name:<26}not here: {str(error).strip().splitlines()[-1]}")
            return
    if not rounds:
        print(f"  {name:<26}no request was answered")
        return
    computed, p50, p99, total, errors = map(statistics.median, zip(*rounds))
    worst = max(each[2] for each in rounds)
    print(
        f"  {name:<26}{computed:6.0f} computed   p50 {p50:6.3f} s   p99 {p99:6.3f} s "
        f"(worst {worst:6.3f})   all {total:6.3f} s   {errors:.0f} errors",
        flush=True,
    )


def main() -> None:
    """Measure all rows, or those that are named."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"{REQUESTS} requests at once for one cold key, {WORKERS} workers, median of {ROUNDS}")
    for name in sys.argv[1:] or ROWS:
        show(name)


if __name__ == "__main__":
    main()
