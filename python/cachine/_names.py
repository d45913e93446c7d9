"""Looks up host names for event loops, without the executor of the loop.

``asyncio.run`` waits at its end for the threads of the loop's executor, so a slow name server would
hold up a program that has long given up on it. Here a daemon thread asks, one at a time for each
host and port in the process, for whoever wants to know.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from typing import Any

#: An address family, and an address as ``socket.connect`` takes it.
Address = tuple[int, Any]

_lock = threading.Lock()
#: Who waits for the host and port that a thread asks for.
_waiting: dict[
    tuple[str, int], list[tuple[asyncio.AbstractEventLoop, asyncio.Future[list[Address]]]]
] = {}


async def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses of a host, at least one; an ``OSError`` if it has none."""
    literal = _literal(host, port)
    if literal is not None:
        return literal
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Address]] = loop.create_future()
    key = (host, port)
    with _lock:
        waiting = _waiting.get(key)
        begins = waiting is None
        if waiting is None:
            waiting = _waiting[key] = []
        waiting.append((loop, future))
    if begins:
        try:
            threading.Thread(target=_ask, args=key, name="cachine-names", daemon=True).start()
        except RuntimeError as error:
            failure = OSError(f"no thread to look up {host}: {error}")
            _tell(key, None, failure)
    return await future


def _literal(host: str, port: int) -> list[Address] | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, host)
            address = (host, port) if family == socket.AF_INET else (host, port, 0, 0)
            return [(family, address)]
    return None


def _ask(host: str, port: int) -> None:
    found: list[Address] | None = None
    failure: Exception | None = None
    try:
        answers = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        found = [(answer[0], answer[4]) for answer in answers]
        if not found:
            failure = OSError(f"{host} has no address")
    except Exception as error:  # A name that can't be encoded is a UnicodeError.
        failure = OSError(f"looking up {host} failed: {error}")
    _tell((host, port), found, failure)


def _tell(key: tuple[str, int], found: list[Address] | None, failure: Exception | None) -> None:
    with _lock:
        waiting = _waiting.pop(key, [])
    for loop, future in waiting:
        with contextlib.suppress(RuntimeError):  # Its loop was closed: nobody waits.
            loop.call_soon_threadsafe(_settle, future, found, failure)


def _settle(
    future: asyncio.Future[list[Address]], found: list[Address] | None, failure: Exception | None
) -> None:
    if future.done():
        return
    if failure is not None:
        future.set_exception(OSError(str(failure)))
    else:
        future.set_result(found or [])


def _in_child() -> None:
    global _lock
    _lock = threading.Lock()
    _waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
