"""What servers may do to a connection, and what a call says then."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import time
import weakref

import pytest

from .probe import Probe, sockets
from .servers import free_port, mute, read_command

LOOPS = {"asyncio": asyncio.new_event_loop}
try:
    import uvloop
except ImportError as error:
    print(f"no tests with uvloop: {error}")
else:
    LOOPS["uvloop"] = uvloop.new_event_loop


def outcome(probe, *words, timeout=20.0):
    """Send a command on a loop of its own; the fault, and how long it took."""

    async def main():
        begun = time.monotonic()
        with pytest.raises((OSError, asyncio.TimeoutError)) as caught:
            await probe.send(*words, timeout=timeout)
        return caught.value, time.monotonic() - begun

    return asyncio.run(main())


def test_half_a_reply_and_then_the_end_may_have_been_carried_out(fake):
    def half(stream):
        stream.recv(65536)
        stream.sendall(b"$100\r\nabc")

    error, seconds = outcome(Probe(port=fake(half).port), "GET", "a")
    assert isinstance(error, ConnectionError)
    assert "sent=Maybe" in str(error)
    assert seconds < 0.5


def test_garbage_ends_the_connection(fake):
    def garbage(stream):
        stream.recv(65536)
        stream.sendall(b"\x00\xffgarbage\r\n")
        stream.recv(65536)

    error, seconds = outcome(Probe(port=fake(garbage).port), "GET", "a")
    assert isinstance(error, ConnectionError)
    assert "sent=Maybe" in str(error)
    assert "malformed" in str(error)
    assert seconds < 0.5


def test_a_server_of_another_protocol_is_refused(fake):
    def http(stream):
        stream.recv(65536)
        stream.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        stream.recv(65536)

    error, _ = outcome(Probe(port=fake(http, greets=False).port), "GET", "a")
    assert isinstance(error, ConnectionError)
    assert "sent=No" in str(error)
    assert "does not speak RESP" in str(error)


def test_a_reply_that_nobody_asked_for_ends_the_connection(fake):
    served = []

    def surplus(stream):
        served.append(1)
        with stream.makefile("rb") as reader:
            read_command(reader)
            stream.sendall(b"$1\r\na\r\n" + (b"$1\r\nb\r\n" if len(served) == 1 else b""))
            with contextlib.suppress(OSError):
                read_command(reader)
                stream.sendall(b"$1\r\nc\r\n")

    server = fake(surplus)

    async def main():
        probe = Probe(port=server.port)
        assert await probe.get("a") == b"a"
        # The surplus reply is not taken for the answer to this one.
        assert await probe.get("a") == b"a"
        assert await probe.get("c") == b"c"

    asyncio.run(main())
    assert server.connections == 2


def test_a_push_is_skipped(fake):
    def push(stream):
        stream.recv(65536)
        stream.sendall(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n$1\r\nv\r\n")
        stream.recv(65536)

    server = fake(push)

    async def main():
        return await Probe(port=server.port).get("a")

    assert asyncio.run(main()) == b"v"


def test_a_silent_server_costs_the_deadline_and_no_more(fake):
    server = fake(mute, greets=False)
    error, seconds = outcome(Probe(port=server.port), "GET", "a", timeout=0.3)
    assert isinstance(error, TimeoutError)
    assert "sent=No" in str(error)
    assert 0.29 < seconds < 0.45


def test_connecting_is_given_up_after_its_own_time(fake):
    server = fake(mute, greets=False)
    probe = Probe(port=server.port, connect_timeout=0.2)
    error, seconds = outcome(probe, "GET", "a", timeout=5.0)
    assert isinstance(error, TimeoutError)
    assert "sent=No" in str(error)
    assert "connect_timeout" in str(error)
    assert 0.19 < seconds < 0.4


def test_a_refused_port_is_told_at_once():
    port = free_port()
    error, seconds = outcome(Probe(port=port), "GET", "a")
    assert isinstance(error, ConnectionError)
    assert "sent=No" in str(error)
    assert f"127.0.0.1:{port}" in str(error)
    assert seconds < 0.5


def test_a_wrong_password_is_told_and_not_shown(own_server):
    server = own_server("--requirepass", "right")
    error, seconds = outcome(Probe(port=server.port, password="secret"), "GET", "a")
    assert isinstance(error, PermissionError)
    assert "sent=No" in str(error)
    assert "secret" not in str(error)
    assert seconds < 0.5
    assert asyncio.run(Probe(port=server.port, password="right").send("PING"))


def test_a_frozen_server_is_given_up_and_the_next_call_connects_anew(own_server):
    server = own_server()

    async def main():
        probe = Probe(port=server.port)
        await probe.send("SET", "frozen", "1")
        open_before = sockets()
        server.freeze()
        begun = time.monotonic()
        calls = [probe.future(probe.core._send, [b"GET", b"frozen"], 0.3) for _ in range(50)]
        await asyncio.sleep(0.1)
        calls += [probe.future(probe.core._send, [b"GET", b"frozen"], 5.0) for _ in range(50)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        seconds = time.monotonic() - begun
        server.freeze(False)
        assert all(isinstance(result, TimeoutError) for result in results[:50])
        # The others learn it with the first: nothing has come for a whole timeout.
        assert all(isinstance(result, ConnectionError) for result in results[50:])
        assert all("sent=Maybe" in str(result) for result in results)
        assert 0.29 < seconds < 1.3
        assert await probe.get("frozen") == b"1"
        assert sockets() == open_before

    asyncio.run(main())


def test_a_short_deadline_does_not_end_a_connection_that_is_only_busy(own_server):
    server = own_server("--enable-debug-command", "yes")

    async def main():
        probe = Probe(port=server.port)
        number = await probe.send("CLIENT", "ID")
        busy = probe.future(probe.core._send, [b"DEBUG", b"SLEEP", b"0.4"], 5.0)
        for _ in range(10):
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await probe.get("a", 0.01)
        await busy
        assert await probe.send("CLIENT", "ID") == number

    asyncio.run(main())


def test_a_server_that_takes_nothing_more_ends_in_deadlines_and_keeps_memory_bounded(own_server):
    server = own_server()

    async def main():
        probe = Probe(port=server.port)
        await probe.send("SET", "full", "1")
        (transport,) = probe.driver().transports.values()
        server.freeze()
        value = b"x" * 100_000
        calls = [probe.future(probe.core._send, [b"SET", b"full", value], 0.8) for _ in range(500)]
        held = 0
        while not all(call.done() for call in calls):
            held = max(held, transport.get_write_buffer_size())
            await asyncio.sleep(0.01)
        results = await asyncio.gather(*calls, return_exceptions=True)
        server.freeze(False)
        assert all(isinstance(result, OSError) for result in results)
        assert 0 < held < 1_000_000
        # Those that were never handed over say so: they may be sent again, whatever they do.
        unsent = [result for result in results if "sent=No" in str(result)]
        assert len(unsent) > 100
        counts = probe.counts()
        assert (counts["operations"], counts["places"], counts["line"]) == (0, 0, 0)
        assert await probe.send("SET", "full", "2") == b"OK"

    asyncio.run(main())


def test_a_slow_reader_gets_everything_in_the_end(own_server):
    server = own_server()

    async def main():
        probe = Probe(port=server.port, timeout=20.0)
        value = b"x" * 100_000
        await probe.send("SET", "slow", "1")
        server.freeze()
        calls = [
            probe.future(probe.core._send, [b"SET", b"slow:%d" % n, value], 20.0)
            for n in range(500)
        ]
        await asyncio.sleep(0.2)
        server.freeze(False)
        assert await asyncio.gather(*calls) == [b"OK"] * 500
        assert await probe.send("DBSIZE") == 501

    asyncio.run(main())


def openssl(*arguments, folder):
    command = ["openssl", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=30)


def certify(folder):
    """Make an authority and the certificate of a server, for this test only."""
    name = ["-subj", "/CN=localhost", "-days", "2", "-nodes"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    openssl("req", "-x509", *key, *name, "-keyout", "ca.key", "-out", "ca.crt", folder=folder)
    extension = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    openssl("req", *key, *name[:2], "-nodes", "-keyout", "s.key", "-out", "s.csr", folder=folder)
    (folder / "ext").write_text(extension)
    sign = ["x509", "-req", "-in", "s.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2"]
    openssl(*sign, "-CAcreateserial", "-extfile", "ext", "-out", "s.crt", folder=folder)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    certify(one)
    certify(other)
    return one, other


@pytest.fixture
def tls_server(own_server, certificates):
    one, _ = certificates
    files = ["--tls-cert-file", f"{one}/s.crt", "--tls-key-file", f"{one}/s.key"]
    files += ["--tls-ca-cert-file", f"{one}/ca.crt", "--tls-auth-clients", "no"]
    return own_server(*files, tls=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("kind", list(LOOPS))
def test_tls_carries_large_values_and_leaves_nothing_open(tls_server, certificates, host, kind):
    one, _ = certificates

    async def main():
        probe = Probe(host, tls_server.port, tls=(f"{one}/ca.crt", None, None, False))
        value = bytes(range(256)) * 12_000
        assert await probe.send("SET", "tls", value, timeout=10) == b"OK"
        assert await probe.get("tls", 10) == value
        calls = [probe.get("tls:none") for _ in range(100)]
        assert await asyncio.gather(*calls) == [None] * 100

    gc.collect()
    before = sockets()
    for _ in range(5):
        loop = LOOPS[kind]()
        loop.run_until_complete(main())
        gone = weakref.ref(loop)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        del loop
        gc.collect()
        assert gone() is None
    assert sockets() == before


def test_a_certificate_of_another_authority_is_not_trusted(tls_server, certificates):
    _, other = certificates
    trusted = (f"{other}/ca.crt", None, None, False)
    error, _ = outcome(Probe("127.0.0.1", tls_server.port, tls=trusted), "GET", "a")
    assert isinstance(error, ConnectionError)
    assert "sent=No" in str(error)
    assert "certificate" in str(error).lower()
    unverified = Probe("127.0.0.1", tls_server.port, tls=(None, None, None, True))
    assert asyncio.run(unverified.send("SET", "tls", "1")) == b"OK"


def test_a_handshake_that_never_ends_costs_the_deadline_and_leaves_nothing_open(fake):
    server = fake(mute, greets=False)
    before = sockets()

    async def main():
        probe = Probe(port=server.port, tls=(None, None, None, True))
        begun = time.monotonic()
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await probe.get("a", 0.3)
        assert time.monotonic() - begun < 0.5
        await probe.links.aclose()

    asyncio.run(main())
    server.stop()
    assert sockets() <= before
