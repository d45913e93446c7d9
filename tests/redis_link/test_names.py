"""Names are looked up beside the loop, and never hold it up."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from cachine import _names

from .probe import Probe, threads


@pytest.fixture
def slow_names(monkeypatch):
    """Name servers that answer when they are let."""
    go, asked = threading.Event(), []
    real = socket.getaddrinfo

    def slow(host, *arguments, **options):
        asked.append(host)
        go.wait(20)
        return real("localhost" if host.startswith("host") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    slow.asked, slow.go = asked, go
    yield slow
    go.set()
    while _names._waiting:  # Or its thread would answer the next test.
        time.sleep(0)


def test_a_slow_name_server_costs_the_deadline_and_no_more(server, slow_names):
    async def main():
        probe = Probe("host.example", server.port)
        with pytest.raises((TimeoutError, asyncio.TimeoutError), match="sent=No"):
            await probe.get("a", 0.2)

    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < 0.6


def test_one_thread_asks_for_all(server, slow_names):
    async def main():
        probes = [Probe("host.example", server.port) for _ in range(10)]
        before = threads()
        calls = [asyncio.ensure_future(probe.get("a", 10.0)) for probe in probes * 20]
        while not slow_names.asked:
            await asyncio.sleep(0.001)
        assert threads() <= before + 1
        slow_names.go.set()
        assert await asyncio.gather(*calls) == [None] * 200
        assert slow_names.asked == ["host.example"]

    asyncio.run(main())


def test_a_name_without_an_address_is_told(monkeypatch):
    def unknown(host, *_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    async def main():
        with pytest.raises(ConnectionError, match="host.example.*Name or service not known"):
            await Probe("host.example", 6399).get("a")

    asyncio.run(main())


def test_an_address_needs_no_name_server(server, monkeypatch):
    def never(*_, **__):
        raise AssertionError("asked")

    monkeypatch.setattr(socket, "getaddrinfo", never)

    async def main():
        assert await Probe("127.0.0.1", server.port).send("PING")

    asyncio.run(main())


def test_the_next_address_is_tried_when_one_does_not_answer(server, monkeypatch):
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    addresses = [("127.0.0.2", 1), ("127.0.0.1", server.port)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(*kind, a) for a in addresses])

    async def main():
        assert await Probe("host.example", server.port).send("PING")

    asyncio.run(main())


def test_an_address_that_swallows_everything_leaves_time_for_the_next(server, monkeypatch):
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    # Nobody accepts, and the queue is full: from then on a connection gets no answer at all.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as hole:
        address = hole.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        addresses = [address, ("127.0.0.1", server.port)]
        found = [(*kind, address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

        async def main():
            probe = Probe("host.example", server.port, connect_timeout=2.0)
            assert await probe.send("PING")

        begun = time.monotonic()
        asyncio.run(main())
        assert time.monotonic() - begun > 0.9
        for filler in fillers:
            filler.close()
