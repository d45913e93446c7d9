"""Which stale keys of servers are computed anew right now, and which have to wait.

After a failure a key waits for half a second, doubling to half a minute, unless a new value comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachine import _core

if TYPE_CHECKING:
    from cachine._core import Call

#: Nanoseconds between a failure and the next attempt: at first, and at most.
FIRST, LONGEST = 500_000_000, 30_000_000_000
#: Nanoseconds until it is looked again whether somebody else has refreshed a key.
ELSEWHERE = 100_000_000
#: Nanoseconds after which a refresh counts as lost: its thread was torn away.
LOST = 300_000_000_000
#: More keys than this are not remembered.
MOST = 10_000

#: The calls that refresh a key, and since when; one that gave up has no flight any more.
_running: dict[tuple[Any, ...], tuple[Call, int]] = {}
#: When a key may be refreshed again, and the pause before that.
_waits: dict[tuple[Any, ...], tuple[int, int]] = {}


def may_begin(key: tuple[Any, ...]) -> bool:
    """Whether nobody refreshes this key now, and it need not wait."""
    before = _running.get(key)
    if before is not None and _runs(before):
        return False
    return _core.now() >= _waits.get(key, (0, 0))[0]


def _runs(entry: tuple[Call, int]) -> bool:
    call, since = entry
    return call.flight != 0 and _core.now() - since < LOST


def begin(key: tuple[Any, ...], call: Call) -> bool:
    """Whether this call is the one that refreshes the key."""
    entry = (call, _core.now())
    before = _running.setdefault(key, entry)
    if before is not entry and not _runs(before):
        # It gave up. Of the threads that come at once, one takes its place.
        _running.pop(key, None)
        before = _running.setdefault(key, entry)
    return before is entry


def end(key: tuple[Any, ...], has_failed: bool) -> None:
    """The refresh has ended."""
    if has_failed:
        _wait(key, min(_waits.get(key, (0, FIRST // 2))[1] * 2, LONGEST))
    else:
        forgive(key)
    _running.pop(key, None)


def defer(key: tuple[Any, ...]) -> None:
    """Somebody else refreshes it: look again in a while."""
    pause = _waits.get(key, (0, FIRST // 2))[1]
    _waits[key] = (_core.now() + ELSEWHERE, pause)
    _running.pop(key, None)


def forgive(key: tuple[Any, ...]) -> None:
    """A new value stands there: what failed before does not count any more."""
    _waits.pop(key, None)


def is_idle() -> bool:
    """Whether no refresh is under way."""
    return not _running


def forget() -> None:
    """Start afresh in a child process."""
    _running.clear()


def _wait(key: tuple[Any, ...], pause: int) -> None:
    if len(_waits) >= MOST:
        _waits.clear()
    _waits[key] = (_core.now() + pause, pause)
