"""What a child process has to forget: the threads and computations of its parent."""

import os

from cachine import _core, _read_through, _refresh


def _in_child() -> None:
    _core.forget_flights()
    _refresh.forget()
    _read_through.leaders.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
