"""What a computation whose entry is on a server came to, with what may be done with it."""

from __future__ import annotations

from typing import Any


class Known:
    """What a computation came to, with what may be done with it."""

    __slots__ = ("is_shared", "value", "was_kept")

    def __init__(self, value: Any, is_shared: bool, was_kept: bool) -> None:
        self.value = value
        #: Whether others may be given it: nothing was invalidated meanwhile.
        self.is_shared = is_shared
        #: Whether it was to be stored, and could be.
        self.was_kept = was_kept


#: What a computation comes to whose server can't be reached.
CUT_OFF = Known(None, False, False)
#: What a refresh comes to that somebody else does.
ELSEWHERE = Known(None, False, True)


def bare(value: Any) -> Any:
    """The value itself."""
    return value.value if type(value) is Known else value
