"""A call ends by its deadline, whatever the server does."""

from __future__ import annotations

import asyncio
import time

import pytest

from .probe import Probe


def test_a_reply_that_drips_is_no_way_around_the_deadline(fake):
    server = None

    def drip(stream):
        stream.recv(65536)
        for byte in b"$40\r\n" + 40 * b"x" + b"\r\n":
            stream.sendall(bytes([byte]))
            server.over.wait(0.1)

    server = fake(drip)

    async def main():
        probe = Probe(port=server.port)
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match="sent=Maybe.*did not answer in time"):
            await probe.get("a", timeout=1.0)
        return time.monotonic() - begun

    assert 0.99 < asyncio.run(main()) < 1.15
