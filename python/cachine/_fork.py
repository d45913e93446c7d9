"""What a child process has to forget: threads, computations and connections of its parent."""

import os
import sys

from cachine import _core, _read_through, _refresh


def _in_child() -> None:
    _core.forget_flights()
    _core.forget_connections()
    _refresh.forget()
    _read_through.leaders.clear()
    for name in ("cachine._remote", "cachine._renewal", "cachine._turns"):
        module = sys.modules.get(name)
        if module is not None:
            module.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
