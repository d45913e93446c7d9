"""Servers that behave badly, each in its own way: what a client has to survive.

Each is a context manager that gives a server with a ``port`` of ``127.0.0.1``; when it is left, its
threads have ended and its sockets are closed. :class:`Proxy` stands before a server that is well
and spoils what that one answers.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading

from servers import PATIENCE, Raw

HOST = "127.0.0.1"

#: What a client says before its own commands.
GREETINGS = frozenset({"AUTH", "CLIENT", "COMMAND", "HELLO", "SELECT"})

LOADING = b"-LOADING Redis is loading the dataset in memory"
OUT_OF_MEMORY = b"-OOM command not allowed when used memory > 'maxmemory'."
READ_ONLY = b"-READONLY You can't write against a read only replica."
WRONG_TYPE = b"-WRONGTYPE Operation against a key holding the wrong kind of value"
NO_AUTHENTICATION = b"-NOAUTH Authentication required."


class Sick:
    """A server whose connections are each served by a function, in a thread of its own.

    Args:
        serve: called with this server and each connection; the connection is closed when it
            returns. A closed or broken connection, which an ``OSError`` tells, is no trouble.
    """

    def __init__(self, serve):
        self._serve = serve
        self._lock = threading.Lock()
        self._open = {}
        self._threads = []
        #: How many connections there were.
        self.connections = 0
        #: The names of the commands that came, in their order.
        self.commands = []
        #: Set when the server ends: a function that pauses waits for it.
        self.stopping = threading.Event()
        self._wake, self._woken = socket.socketpair()
        self._listener = socket.create_server((HOST, 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="sick server")
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stopping.set()
        self._wake.send(b"!")
        self._thread.join(PATIENCE)
        self.close_connections()
        for thread in [self._thread, *self._threads]:
            thread.join(PATIENCE)
            assert not thread.is_alive(), f"{thread} of a sick server hangs"
        for one in (self._listener, self._wake, self._woken):
            one.close()

    @property
    def open_connections(self):
        """How many connections there are now."""
        return len(self._open)

    def close_connections(self):
        """Close the connections that there are; each is closed when this returns."""
        with self._lock:
            stopped = list(self._open.items())
        for connection, _ in stopped:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for _, thread in stopped:
            thread.join(PATIENCE)

    def _accept(self):
        while True:
            ready, _, _ = select.select([self._listener, self._woken], [], [])
            if self.stopping.is_set():
                return
            if self._listener in ready:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._one, args=(connection,), name="sick")
                with self._lock:
                    self.connections += 1
                    self._open[connection] = thread
                    self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
                    thread.start()

    def _one(self, connection):
        try:
            with contextlib.suppress(OSError):
                self._serve(self, connection)
        finally:
            with self._lock:
                del self._open[connection]
            connection.close()


class Commands:
    """The commands in a stream of bytes that comes in pieces."""

    def __init__(self):
        self._bytes = b""

    def feed(self, data):
        """The commands that are complete now, each a list of words."""
        self._bytes += data
        commands = []
        while True:
            found = self._next()
            if found is None:
                return commands
            commands.append(found)

    def _next(self):
        words, at = [], self._bytes.find(b"\r\n")
        if at < 0:
            return None
        if not self._bytes.startswith(b"*"):
            words, end = self._bytes[:at].split(), at + 2
        else:
            end = at + 2
            for _ in range(int(self._bytes[1:at])):
                at = self._bytes.find(b"\r\n", end)
                if at < 0:
                    return None
                begin = at + 2
                end = begin + int(self._bytes[end + 1 : at]) + 2
                if len(self._bytes) < end:
                    return None
                words.append(self._bytes[begin : end - 2])
        self._bytes = self._bytes[end:]
        return words


def _each_command(sick, connection):
    """The commands of a connection as they come, until it ends."""
    commands = Commands()
    while True:
        data = connection.recv(65536)
        if not data:
            return
        for words in filter(None, commands.feed(data)):
            sick.commands.append(_name(words))
            yield words


def _name(words):
    # A greeting of TLS is no command, and may look like one.
    return words[0].decode(errors="replace").upper()


def _each_piece(connection):
    """Whatever comes, be it commands or a greeting of TLS, until the connection ends."""
    while True:
        data = connection.recv(65536)
        if not data:
            return
        yield data


@contextlib.contextmanager
def refusing():
    """A port where nobody listens. It is held, so that nobody will."""
    with socket.socket() as held:
        held.bind((HOST, 0))
        yield _Port(held.getsockname()[1])


class _Port:
    """A port, and nothing behind it that counts."""

    def __init__(self, port):
        self.port = port


@contextlib.contextmanager
def blackhole():
    """A port that neither accepts nor refuses: its queue is full, so the kernel does not answer."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        while True:
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex((HOST, port))
            _, connected, _ = select.select([], [one], [], 0.05)
            if not connected:
                break  # This one hangs, and so will the next.
        yield _Port(port)


def silent():
    """Accepts, reads and never answers."""

    def serve(sick, connection):
        for _ in _each_command(sick, connection):
            pass

    return Sick(serve)


def dripping(reply, every=0.1):
    """Answers whatever comes with ``reply``, byte by byte, with a pause before each."""

    def serve(sick, connection):
        for _ in _each_piece(connection):
            for at in range(len(reply)):
                if sick.stopping.wait(every):
                    return
                connection.sendall(reply[at : at + 1])

    return Sick(serve)


def half_reply(reply=b"$100\r\nhalf of it"):
    """Answers the first thing that comes with half a reply and closes."""
    return _saying(reply)


def garbage(reply=b"\x00\xffneither this nor that\r\n\r\n"):
    """Answers with what is no reply, and stays."""
    return _saying(reply, closes=False)


def http():
    """Answers like a web server."""
    return _saying(
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n"
        b"Connection: close\r\n\r\nBad Request"
    )


def closing():
    """Accepts and closes at the first command, without a word."""
    return _saying(b"")


def _saying(text, closes=True):
    def serve(sick, connection):
        for _ in _each_piece(connection):
            connection.sendall(text)
            if closes:
                return

    return Sick(serve)


def replying(error, greeting=False):
    """Answers every command with an error, such as :data:`LOADING`.

    Args:
        error: the line, with its minus and without its end.
        greeting: whether the greeting is answered so too.
    """

    def serve(sick, connection):
        is_greeted = False
        for words in _each_command(sick, connection):
            name = _name(words)
            is_well = not greeting and (name in GREETINGS or name == "PING" and not is_greeted)
            is_greeted = is_greeted or name == "PING"
            connection.sendall(_greeted(words) if is_well else error + b"\r\n")

    return Sick(serve)


def _greeted(words):
    """How a server that is well answers a greeting."""
    if words[0].upper() == b"PING":
        return b"+PONG\r\n"
    if words[0].upper() != b"HELLO":
        return b"+OK\r\n"
    version = int(words[1]) if len(words) > 1 else 2
    facts = {"server": "redis", "version": "7.0.15", "proto": version, "id": 1}
    facts.update(mode="standalone", role="master")
    head = b"%%%d\r\n" % len(facts) if version == 3 else b"*%d\r\n" % (2 * len(facts))
    words = [word for fact in facts.items() for word in fact]
    return head + b"".join(
        b":%d\r\n" % word if isinstance(word, int) else b"+%s\r\n" % word.encode() for word in words
    )


class Proxy(Sick):
    """Stands before a server that is well, and passes on what it is not told to spoil.

    What is to be spoiled is named by a word of the command, such as a key: then neither a greeting
    nor a script that has to be loaded first is hit in its place.

    Args:
        port: of the server on ``127.0.0.1``, or the path of its socket.
    """

    def __init__(self, port):
        self._upstream = (HOST, port) if isinstance(port, int) else port
        self._swallowed = None
        self._cut = None
        #: How many seconds each reply is held back.
        self.delay = 0.0
        #: How many replies were spoiled.
        self.spoiled = 0
        super().__init__(Proxy._pass_on)

    def swallow(self, word):
        """Keep the reply to the next command that has this word; the connection stays open."""
        self._swallowed = word.encode()

    def cut(self, word):
        """Pass on half the reply to the next command that has this word, and close."""
        self._cut = word.encode()

    def _pass_on(self, client):
        commands = Commands()
        with Raw(self._upstream) as raw:
            server = raw.socket
            while not self.stopping.is_set():
                ready, _, _ = select.select([client, server], [], [], PATIENCE)
                if server in ready and not self._answer(client, server.recv(65536)):
                    return
                if client in ready:
                    data = client.recv(65536)
                    if not data:
                        return
                    if not self._ask(client, server, data, commands.feed(data)):
                        return

    def _answer(self, client, data):
        """Pass replies on; whether the connection goes on."""
        if self.delay and self.stopping.wait(self.delay):
            return False
        client.sendall(data)
        return bool(data)

    def _ask(self, client, server, data, commands):
        """Pass commands on; whether the connection goes on."""
        self.commands += map(_name, filter(None, commands))
        server.sendall(data)
        words = {word for command in commands for word in command}
        if self._swallowed in words:
            self._swallowed = None
            self.spoiled += 1
            server.recv(65536)
        elif self._cut in words:
            self._cut = None
            self.spoiled += 1
            reply = server.recv(65536)
            client.sendall(reply[: len(reply) // 2])
            return False
        return True
