"""A process of the tests across processes: it does what it is told in lines, and answers in lines.

It is a program: ``workers.py PATH NAME PORT``, with the socket of the test that started it, its own
name, and the port of the server. An order names a function as ``module.function``, which is called
with this worker and the arguments of the order; what it returns is the answer, and what it raises
is one, too. Each order has a thread of its own unless it says ``here``: then the main thread obeys,
which is the one that a signal interrupts.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))


class Worker:
    """What the functions of orders know of their process."""

    def __init__(self, path, name, port):
        self.name = name
        self.port = port
        #: Where functions keep what a later order needs.
        self.kept = {}
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._lock = threading.Lock()
        self._gates = {}
        self._here = queue.SimpleQueue()

    def obey(self):
        """Obey until nobody gives orders any more."""
        threading.Thread(target=self._read, daemon=True).start()
        while True:
            order = self._here.get()
            self._do(**order)

    def _read(self):
        with self._socket.makefile("r") as lines:
            for line in lines:
                order = json.loads(line)
                number, here = order["number"], order.pop("here", False)
                if order["do"] == "go":
                    self._gates[number].set()
                    continue
                self._gates[number] = threading.Event()
                if here:
                    self._here.put(order)
                else:
                    threading.Thread(target=self._do, kwargs=order, daemon=True).start()
        os._exit(0)  # Whatever is still under way.

    def ready(self, number):
        """Say that all is prepared, and wait for the word to go."""
        self.answer(number, is_ready=True)
        self._gates[number].wait()

    def answer(self, number, **what):
        """Answer an order, now or again."""
        line = json.dumps({"number": number, **what}) + "\n"
        with self._lock:
            self._socket.sendall(line.encode())

    def _do(self, number, do, **arguments):
        module, _, name = do.partition(".")
        try:
            function = getattr(importlib.import_module(module), name)
            self.answer(number, result=function(self, number, **arguments))
        except BaseException:
            self.answer(number, trouble=traceback.format_exc())


def main():
    """Be a worker."""
    # Whoever started the tests may have told programs to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    path, name, port = sys.argv[1:]
    Worker(path, name, int(port)).obey()


if __name__ == "__main__":
    main()
