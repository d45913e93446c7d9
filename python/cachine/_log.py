"""Log lines about caches that fail: few, structured, and without anything that was cached.

At most one line for each event and name in :data:`INTERVAL` seconds; what was held back is
counted in the next one.
"""

from __future__ import annotations

from time import monotonic

INTERVAL = 10.0

_last: dict[tuple[str, str, str], tuple[float, int]] = {}


def warn(event: str, name: str, error: BaseException, advice: str) -> None:
    """Log that something failed, unless the same was logged a moment ago.

    Args:
        event: what failed, such as ``"refresh failed"``.
        name: the function or cache it happened to.
        error: its class is logged; its text may hold values and is not.
        advice: what happens now.
    """
    key = (event, name, type(error).__name__)
    now = monotonic()
    before, held_back = _last.get(key, (float("-inf"), 0))
    if now - before < INTERVAL:
        _last[key] = (before, held_back + 1)
        return
    if len(_last) > 1000:
        _last.clear()  # Names made up at run time must not pile up.
    _last[key] = (now, 0)
    import logging  # Late: most programs never get here, and it is slow to import.

    more = f" ({held_back} more since the last line)" if held_back else ""
    logging.getLogger("cachine").warning(
        "%s in %s: %s; %s%s",
        event,
        name,
        type(error).__name__,
        advice,
        more,
        extra={"cachine_event": event, "cachine_name": name, "cachine_repeated": held_back},
    )
