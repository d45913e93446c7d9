"""Sends commands through the link of a loop, as a cache will; faults are built-in exceptions.

Where a test is not about time there is plenty of it, so that a busy machine breaks nothing.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from cachine import _core, _loop


class Probe:
    """One cache, as far as its links know it."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, **options: Any) -> None:
        options.setdefault("connect_timeout", 20.0)
        self.core = _core.LoopProbe(host, port, **options)
        self.links = _loop.Links(self.core.endpoint)

    def future(self, start: Any, *arguments: Any) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        driver = self.links.driver(loop)
        future = loop.create_future()
        steps = start(driver, future, *arguments)
        if steps is not None:
            for act, argument in steps:
                act(argument)
        return future

    async def send(self, *words: Any, timeout: float = 20.0) -> Any:
        packed = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        return await self.future(self.core._send, packed, timeout)

    async def many(self, *words: Any, count: int, timeout: float = 20.0) -> Any:
        packed = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        return await self.future(self.core._send_many, packed, count, timeout)

    async def get(self, key: str, timeout: float = 20.0) -> Any:
        return await self.future(self.core._send, [b"GET", key.encode()], timeout)

    def driver(self) -> Any:
        return self.links.driver(asyncio.get_running_loop())

    def counts(self) -> dict[str, int]:
        names = ("operations", "places", "capacity", "naps", "line")
        return dict(zip(names, self.driver()._counts()))


def sockets() -> int:
    """How many sockets this process has."""
    count = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{number}").startswith("socket:")
        except OSError:
            continue
    return count


def threads() -> int:
    """How many threads the system runs for this process."""
    return len(os.listdir("/proc/self/task"))
