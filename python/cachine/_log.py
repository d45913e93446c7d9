"""Log lines about caches that fail: few, structured, and without anything that was cached.

At most one line for each event and name in :data:`INTERVAL` seconds; what was held back is
counted in the next one.
"""

from __future__ import annotations

from time import monotonic

INTERVAL = 10.0

_last: dict[tuple[str, str, str], _Line] = {}


class _Line:
    """When something was last logged, and how often it was not since."""

    __slots__ = ("held_back", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.held_back = 0


#: Errors whose text says what is wrong with a server, and never holds a value or a secret.
_SAFE = frozenset({"CacheConnectionError", "CacheTimeoutError", "ResponseError", "ClosedError"})


def said(error: BaseException, advice: str) -> str:
    """The advice, with what the error says where that is safe to log."""
    return f"{error}; {advice}" if type(error).__name__ in _SAFE else advice


def warn(event: str, name: str, error: BaseException | None, advice: str) -> None:
    """Log that something failed, unless the same was logged a moment ago.

    Args:
        event: what failed, such as ``"refresh failed"``.
        name: the function or cache it happened to.
        error: its class is logged; its text may hold values and is not.
        advice: what happens now.
    """
    what = "" if error is None else f": {type(error).__name__}"
    key = (event, name, what)
    line = _Line(monotonic())
    before = _last.get(key)
    if before is None and len(_last) > 1000:
        _last.clear()  # Names made up at run time must not pile up.
    # Of the threads that come at once one writes; a lock would be a thing to lose in a fork.
    if before is not None and (
        line.since - before.since < INTERVAL or _last.pop(key, None) is not before
    ):
        before.held_back += 1
        return
    stands = _last.setdefault(key, line)
    if stands is not line:
        stands.held_back += 1
        return
    held_back = 0 if before is None else before.held_back
    import logging  # Late: most programs never get here, and it is slow to import.

    more = f" ({held_back} more since the last line)" if held_back else ""
    try:
        logging.getLogger("cachine").warning(
            "%s in %s%s; %s%s",
            event,
            name,
            what,
            advice,
            more,
            extra={"cachine_event": event, "cachine_name": name, "cachine_repeated": held_back},
        )
    except Exception:
        pass  # A log that fails is no reason to lose the answer that this is about.
