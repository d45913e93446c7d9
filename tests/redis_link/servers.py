"""Servers that tests start: real ones, and fakes that misbehave as they are told to."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BINARY = shutil.which("redis-server") or ""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Server:
    """A real server of this test's own."""

    def __init__(self, folder: Path, *options: str, tls: bool = False) -> None:
        self.port = free_port()
        self.path = str(folder / f"{self.port}.sock")
        command = [BINARY, "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        command += ["--dir", str(folder), "--unixsocket", self.path]
        command += (
            ["--tls-port", str(self.port), "--port", "0"] if tls else ["--port", str(self.port)]
        )
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "Ready to accept connections" in line:
                break
        else:
            raise RuntimeError("redis-server did not start")

    def stop(self) -> None:
        self.freeze(False)
        self.process.terminate()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait(20)

    def freeze(self, frozen: bool = True) -> None:
        os.kill(self.process.pid, signal.SIGSTOP if frozen else signal.SIGCONT)


class Fake:
    """Serves every connection with a function, in a thread each.

    A greeting that asks for nothing is answered before.
    """

    def __init__(self, serve: Callable[[socket.socket], None], greets: bool = True) -> None:
        self.serve, self.greets = serve, greets
        self.connections = 0
        self.over = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._listen, daemon=True)]
        self.threads[0].start()
        self.open: list[socket.socket] = []

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                stream, _ = self.listener.accept()
                self.connections += 1
                self.open.append(stream)
                thread = threading.Thread(target=self._one, args=(stream,), daemon=True)
                self.threads.append(thread)
                thread.start()

    def _one(self, stream: socket.socket) -> None:
        with contextlib.suppress(OSError), stream:
            if self.greets:
                stream.recv(65536)
                stream.sendall(b"+PONG\r\n")
            self.serve(stream)

    def stop(self) -> None:
        self.over.set()
        # Wakes a thread that waits in accept or recv.
        for stream in [self.listener, *self.open]:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
            stream.close()
        for thread in self.threads:
            thread.join(20)


def read_command(stream: Any) -> list[bytes]:
    """Read one command from a buffered reader."""
    head = stream.readline()
    if not head:
        raise OSError("closed")
    words = []
    for _ in range(int(head[1:])):
        length = int(stream.readline()[1:])
        words.append(stream.read(length + 2)[:-2])
    return words


def mute(stream):
    """Read until the other side is gone, and say nothing."""
    while stream.recv(65536):
        pass
