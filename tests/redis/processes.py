"""Processes that share a server, as a test gives orders to them; see :mod:`workers`.

Each is an interpreter of its own on a leash, so it never outlives the test, frozen or not.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from servers import PATIENCE, SHARED, Raw

import cachine

__all__ = ["Entry", "Process", "ask", "start", "tokens"]

PROGRAM = Path(__file__).parent / "workers.py"
PACKAGE = str(Path(cachine.__file__).absolute().parent.parent)

#: The namespace of every worker, and the name under which the right to store an entry is kept.
NAMESPACE = "ns"
TOKEN = f"{NAMESPACE}:~cachine~t:"

#: Seconds in which what is to happen at once has happened, however busy the machine is.
AT_ONCE = 3.0

#: Seconds of one step of a wait.
STEP = 0.25


class Process:
    """An interpreter that does what it is told."""

    def __init__(self, name, port):
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix="cachine-worker-"))
        self.process = None
        self._socket = None
        self._orders = 0
        self._answers = {}
        path = str(self.folder / "orders")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(PATIENCE)
        self._listener.bind(path)
        self._listener.listen(1)
        command = [sys.executable, "-X", "faulthandler", str(PROGRAM), path, name, str(port)]
        leash = (SHARED / "leash.sh").read_text()
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", leash, str(self.folder), *command],
                env={**os.environ, "PYTHONPATH": PACKAGE},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C is for the tests, and the leash must outlive them.
                start_new_session=True,
            )

    def listen(self):
        """Wait until it has come up."""
        try:
            self._socket, _ = self._listener.accept()
        except OSError as error:
            raise AssertionError(f"worker {self.name} did not start:\n{self._log()}") from error
        self._socket.settimeout(PATIENCE)
        self._lines = self._socket.makefile("rb")

    def order(self, do, **arguments):
        """Give an order; its number."""
        self._orders += 1
        self._send(number=self._orders, do=do, **arguments)
        return self._orders

    def go(self, number):
        """Let an order go on that is ready."""
        self._send(number=number, do="go")

    def heard(self, number):
        """The next answer to an order: True when it is ready, or what it has come to."""
        while not self._answers.get(number):
            try:
                line = self._lines.readline()
            except OSError:
                line = b""
            assert line, f"worker {self.name} does not answer:\n{self._log()}"
            answer = json.loads(line)
            self._answers.setdefault(answer.pop("number"), []).append(answer)
        answer = self._answers[number].pop(0)
        assert "trouble" not in answer, f"in worker {self.name}:\n{answer['trouble']}"
        return answer.get("is_ready") or answer["result"]

    def do(self, do, **arguments):
        """Give an order and wait for what it comes to."""
        return self.heard(self.order(do, **arguments))

    def info(self):
        """What the cached function counts."""
        return self.do("callers.info")

    def freeze(self):
        """Stop it where it is."""
        self.process.send_signal(signal.SIGSTOP)
        # The signal only asks for it; it stands still when this returns.
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"worker {self.name} ended:\n{self._log()}"

    def thaw(self):
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def interrupt(self):
        """What Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def kill(self):
        """End it without a chance to say anything, frozen or not; it is gone when this returns."""
        if self.process.returncode is None:
            self.process.kill()
            with contextlib.suppress(OSError):
                self.process.stdin.write(b"\n")
            with contextlib.suppress(OSError):
                self.process.stdin.close()
            self.process.wait()

    def close(self):
        """End it and remove what it has left."""
        if self.process is not None:
            self.kill()
        if self._socket is not None:
            self._lines.close()
            self._socket.close()
        self._listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _send(self, **what):
        self._socket.sendall(json.dumps(what).encode() + b"\n")

    def _log(self):
        return (self.folder / "log").read_text(errors="replace")


@pytest.fixture
def start(own_redis):
    """Start workers, one of each kind that is given, with a function; see ``callers.make``."""
    with contextlib.ExitStack() as stack:
        count = 0

        def start(*kinds, **function):
            nonlocal count
            made = []
            for _ in kinds:
                process = Process(f"w{count}", own_redis.port)
                stack.callback(process.close)
                made.append(process)
                count += 1
            orders = []
            for process, kind in zip(made, kinds):
                process.listen()
                orders.append(process.order("callers.make", kind=kind, **function))
            for process, number in zip(made, orders):
                process.heard(number)
            return made

        yield start


class Answer:
    """What callers in a process will have got."""

    def __init__(self, process, number):
        self.process = process
        self.number = number

    def result(self):
        """Wait for all of them: their ``values``, their ``errors`` by name, and the ``slowest``."""
        return self.process.heard(self.number)

    @property
    def values(self):
        """Wait for all of them: their values, when nothing was raised."""
        result = self.result()
        assert not result["errors"], result["errors"]
        return result["values"]

    def cancel(self, *which):
        """Cancel some of the tasks."""
        self.process.do("callers.cancel", of=self.number, which=which)


def ask(processes, key="k", callers=1, **how):
    """Have callers in all processes ask at the same moment; an :class:`Answer` for each process.

    Args:
        processes: who asks.
        key: for what.
        callers: how many in each process.
        how: ``here=True`` for one caller on the main thread, ``loop=1`` for another event loop.
    """
    answers = []
    for process in processes:
        number = process.order("callers.call", key=key, callers=callers, **how)
        answers.append(Answer(process, number))
    for answer in answers:
        assert answer.result() is True
    for answer in answers:
        answer.process.go(answer.number)
    return answers


class Entry:
    """One key as the server sees it: who computes it, and when that goes on."""

    def __init__(self, server, key="k"):
        self.server = server
        self.key = key

    def began(self, within=AT_ONCE):
        """Wait for the next computation to begin: who does it, and its number; None if nobody.

        In steps, so that a machine that stood still for a while has used up only one of them.
        """
        for _ in range(max(1, round(within / STEP))):
            found = self.server.command("BLPOP", f"began:{self.key}", min(within, STEP))
            if found is not None:
                name, number = json.loads(found[1])
                return name, number
        return None

    def let_go(self, *numbers):
        """Let computations end, begun or not."""
        for number in numbers:
            self.server.command("RPUSH", f"gate:{self.key}:{number}", "go")

    @property
    def runs(self):
        """How many computations have begun."""
        return int(self.server.command("GET", f"runs:{self.key}") or 0)

    @property
    def stored(self):
        """What is stored."""
        found = self.server.command("GET", f"{NAMESPACE}:{self.key}")
        return None if found is None else json.loads(found)

    @contextlib.contextmanager
    def waiters(self):
        """Sees who asks for the right to compute: a function that waits for so many more of them.

        Each is a connection: of those who wait for another process one asks for all.
        """
        with Raw(self.server.socket_path) as raw:
            raw.command("MONITOR")
            seen = set()

            def wait(count):
                end = time.monotonic() + PATIENCE
                while len(seen) < count:
                    assert time.monotonic() < end, f"{seen} asked, and nobody else"
                    line = raw.reply().decode(errors="replace")
                    # The name has the tag of a slot in braces before the key.
                    if f'"SET" "{TOKEN}' in line and f':{self.key}" ' in line:
                        seen.add(line.split("]", 1)[0].split()[-1])

            yield wait


def tokens(server):
    """The rights to store that somebody has."""
    return server.keys(TOKEN + "*")
