"""The servers that the tests of Redis stand on: the real ones, and the sick ones."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sick
from servers import PATIENCE, Raw, Refused, Server

TESTS = str(Path(__file__).parents[1])


@pytest.fixture(autouse=True)
def _nothing_left():
    """Every thread of a server has ended when its block is left."""
    before = set(threading.enumerate())
    yield
    assert not set(threading.enumerate()) - before


def spoken(port, *words, timeout=PATIENCE):
    """What a server on a port answers to one command, raw."""
    with Raw(("127.0.0.1", port)) as raw:
        raw.socket.settimeout(timeout)
        return raw.command(*words)


def test_a_server_starts_and_nothing_is_left_of_it():
    with Server() as server:
        assert server.port != 6379
        assert spoken(server.port, "SET", "key", b"\x00\r\n") == b"OK"
        assert server.command("GET", "key") == b"\x00\r\n"
        assert server.command("MGET", "key", "none") == [b"\x00\r\n", None]
        assert server.keys() == ["key"] and server.clients() == 0
    assert not server.folder.exists()
    with pytest.raises(ConnectionRefusedError):
        spoken(server.port, "PING")


def test_a_server_that_does_not_start_says_why():
    with pytest.raises(AssertionError, match="no-such-option"):
        Server("--no-such-option", "1")


def test_a_server_does_not_outlive_a_process_that_is_killed():
    program = (
        "import sys, time\nfrom servers import Server\nserver = Server()\n"
        "print(server.socket_path, flush=True)\ntime.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": TESTS},
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        path = holder.stdout.readline().strip()
        with Raw(path) as raw:
            assert raw.command("PING") == b"PONG"
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            with pytest.raises(ConnectionError):
                raw.reply()
    end = time.monotonic() + PATIENCE
    while Path(path).parent.exists():
        assert time.monotonic() < end, "the folder is left"
        time.sleep(0.005)


def test_a_frozen_server_answers_when_it_is_thawed(own_redis):
    with Raw(("127.0.0.1", own_redis.port)) as raw:
        for _ in range(3):
            own_redis.freeze()
            raw.socket.settimeout(0.05)
            with pytest.raises(socket.timeout):
                raw.socket.sendall(b"PING\r\n")
                raw.socket.recv(1)
            own_redis.thaw()
            raw.socket.settimeout(PATIENCE)
            assert raw.socket.recv(7) == b"+PONG\r\n"


def test_a_killed_server_comes_back_on_its_port_and_empty(own_redis):
    port = own_redis.port
    own_redis.command("SET", "key", "value")
    own_redis.freeze()
    own_redis.kill()
    with pytest.raises(ConnectionRefusedError):
        spoken(port, "PING")
    own_redis.restart()
    assert own_redis.port == port and spoken(port, "DBSIZE") == 0


def test_connections_of_others_are_closed_and_counted(own_redis):
    with Raw(("127.0.0.1", own_redis.port)) as raw:
        raw.command("PING")
        assert own_redis.clients() == 1
        own_redis.disconnect()
        assert own_redis.clients() == 0
        with pytest.raises(ConnectionError):
            raw.reply()


def test_a_password_is_asked_for(redis_secured):
    with pytest.raises(Refused, match="NOAUTH"):
        spoken(redis_secured.port, "PING")
    assert redis_secured.command("PING") == b"PONG"
    assert redis_secured.password in redis_secured.url


def test_tls_is_trusted_with_the_authority_of_the_server_and_with_no_other(redis_tls):
    def answer(ca_certs):
        context = ssl.create_default_context(cafile=ca_certs)
        context.load_cert_chain(*redis_tls.client_pair)
        with socket.create_connection(("127.0.0.1", redis_tls.port), PATIENCE) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as encrypted:
                encrypted.sendall(b"PING\r\n")
                return encrypted.recv(7)

    assert answer(redis_tls.ca_certs) == b"+PONG\r\n"
    with Server(tls=True) as other, pytest.raises(ssl.SSLCertVerificationError):
        answer(other.ca_certs)
    assert redis_tls.command("PING") == b"PONG", "in the clear beside the port"


def test_time_passes_for_keys_and_for_the_scores_of_an_index(own_redis):
    for seconds in (10, 20, 100):
        own_redis.command("SET", f"key:{seconds}", "value", "EX", seconds)
    own_redis.command("SET", "for ever", "value")
    own_redis.command("SET", "saturated", "value", "PXAT", 2**63 - 1)
    now = round(time.time() * 1000)
    for name in ("ns:~cachine~i:tag", "ns:scores"):
        own_redis.command("ZADD", name, now, "member", "+inf", "endless")
        own_redis.command("EXPIRE", name, 1000)
    own_redis.age(15.5)
    assert own_redis.keys("key:*") == ["key:100", "key:20"]
    assert 4000 < own_redis.command("PTTL", "key:20") <= 4500
    assert own_redis.command("PTTL", "for ever") == -1
    assert own_redis.command("PTTL", "saturated") > 2**60
    assert int(own_redis.command("ZSCORE", "ns:~cachine~i:tag", "member")) == now - 15500
    assert own_redis.command("ZSCORE", "ns:~cachine~i:tag", "endless") == b"inf"
    assert int(own_redis.command("ZSCORE", "ns:scores", "member")) == now
    assert own_redis.command("TTL", "ns:~cachine~i:tag") in (984, 985)
    own_redis.age(4.5)
    assert own_redis.keys("key:*") == ["key:100"]


def test_time_passes_for_one_database_alone(own_redis):
    with own_redis.raw() as raw:
        raw.command("SET", "key", "value", "EX", 10)
        raw.command("SELECT", 1)
        raw.command("SET", "key", "value", "EX", 10)
        own_redis.age(60, database=1)
        assert raw.command("DBSIZE") == 0
    assert own_redis.command("DBSIZE") == 1


def test_a_port_that_refuses():
    with sick.refusing() as server, pytest.raises(ConnectionRefusedError):
        spoken(server.port, "PING")


def test_a_port_that_neither_accepts_nor_refuses():
    with sick.blackhole() as server, pytest.raises(socket.timeout):
        socket.create_connection(("127.0.0.1", server.port), 0.2).close()


def test_a_server_that_never_answers():
    with sick.silent() as server, pytest.raises(socket.timeout):
        spoken(server.port, "PING", timeout=0.1)
    assert server.commands == ["PING"] and server.connections == 1


def test_a_server_that_answers_byte_by_byte():
    with sick.dripping(b"$2\r\nab\r\n", every=0.01) as server:
        begin = time.monotonic()
        assert spoken(server.port, "GET", "key") == b"ab"
        assert time.monotonic() - begin >= 0.08


def test_a_server_that_is_left_in_the_middle_of_an_answer_ends_at_once():
    with sick.dripping(b"$2\r\nab\r\n", every=600) as server:
        with pytest.raises(socket.timeout):
            spoken(server.port, "GET", "key", timeout=0.05)
        begin = time.monotonic()
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("make", [sick.half_reply, sick.closing, sick.http])
def test_a_server_that_answers_something_and_closes(make):
    with make() as server, socket.create_connection(("127.0.0.1", server.port), 5) as client:
        client.sendall(b"*1\r\n$4\r\nPING\r\n")
        with client.makefile("rb") as file:
            said = file.read()
    assert (b"half" in said, b"HTTP" in said) == (
        make is sick.half_reply,
        make is sick.http,
    )


def test_a_server_that_answers_every_command_with_an_error():
    with sick.replying(sick.LOADING) as server, Raw(("127.0.0.1", server.port)) as raw:
        assert raw.command("SELECT", 1) == b"OK"
        assert raw.command("HELLO", 2)[5] == 2
        for _ in range(2):
            with pytest.raises(Refused, match="^LOADING "):
                raw.command("GET", "key")
    with sick.replying(sick.NO_AUTHENTICATION, greeting=True) as server:
        with pytest.raises(Refused, match="^NOAUTH "):
            spoken(server.port, "SELECT", 1)


def test_a_proxy_passes_on_and_counts(redis_server):
    with sick.Proxy(redis_server.port) as proxy:
        with Raw(("127.0.0.1", proxy.port)) as raw:
            long = b"x" * 1_000_000
            assert raw.command("SET", "proxy:key", long) == b"OK"
            assert raw.command("GET", "proxy:key") == long
            assert raw.command("DEL", "proxy:key") == 1
            assert (proxy.connections, proxy.open_connections) == (1, 1)
            assert proxy.commands == ["SET", "GET", "DEL"]
            proxy.close_connections()
            with pytest.raises(ConnectionError):
                raw.command("PING")
        assert spoken(proxy.port, "PING") == b"PONG"
        assert proxy.connections == 2


def test_a_proxy_keeps_a_reply_to_itself(redis_server):
    with sick.Proxy(redis_server.port) as proxy, Raw(("127.0.0.1", proxy.port)) as raw:
        raw.command("DEL", "proxy:key")
        proxy.swallow("proxy:key")
        raw.command("PING")
        raw.socket.settimeout(0.1)
        with pytest.raises(socket.timeout):
            raw.command("INCR", "proxy:key")
        assert redis_server.command("GET", "proxy:key") == b"1" and proxy.spoiled == 1


def test_a_proxy_cuts_a_reply_in_half(redis_server):
    redis_server.command("SET", "proxy:cut", "0123456789")
    with sick.Proxy(redis_server.port) as proxy:
        with Raw(("127.0.0.1", proxy.port)) as raw:
            proxy.cut("proxy:cut")
            assert raw.command("PING") == b"PONG"
            raw.socket.sendall(b"GET proxy:cut\r\n")
            assert raw.file.read() == b"$10\r\n012"
        assert spoken(proxy.port, "GET", "proxy:cut") == b"0123456789"


def test_a_proxy_delays(redis_server):
    with sick.Proxy(redis_server.port) as proxy, Raw(("127.0.0.1", proxy.port)) as raw:
        proxy.delay = 0.1
        begin = time.monotonic()
        assert raw.command("PING") == b"PONG"
        assert time.monotonic() - begin >= 0.1


def test_a_proxy_before_a_dead_server_closes(own_redis):
    own_redis.kill()
    with sick.Proxy(own_redis.port) as proxy, pytest.raises(ConnectionError):
        spoken(proxy.port, "PING")
