"""A counter that starts anew when its time is up, as a rate limit: exact at the edges, too."""

from __future__ import annotations

import time

from processes import start  # noqa: F401

#: The seconds of a window, and how many of them pass.
WINDOW, WINDOWS = 0.5, 5
#: How many requests a window admits.
LIMIT = 100
#: A server counts time in whole milliseconds, and its time and ours are two clocks.
TICK = 0.002
#: What the server says of the life of a key that is not there, and of one without an end.
MISSING, ENDLESS = -2, -1


def windows_of(requests):
    """The first request of each window, which got the number 1, and all the requests of each.

    A request that was under way when a window began may belong to this one or to the one before.
    Its number tells: many requests fit into a window, and few into that moment.
    """
    first = sorted(request for request in requests if request[2] == 1)
    windows = [[] for _ in first]
    unsure = []
    for request in requests:
        before, after, _ = request
        place = max(0, sum(start[1] <= before for start in first) - 1)
        following = first[place + 1 : place + 2]
        if following and following[0][0] <= after:
            unsure.append((place, request))
        else:
            windows[place].append(request)
    most = [max((number for _, _, number in window), default=0) for window in windows]
    for place, request in unsure:
        windows[place + (request[2] < most[place] / 2)].append(request)
    return first, windows


def lives_of(server, seconds):
    """How long the counter had to live, whenever it was looked at, in milliseconds."""
    lives, end = set(), time.monotonic() + seconds
    with server.raw() as raw:
        while time.monotonic() < end:
            lives.add(raw.command("PTTL", "ns:limit:7"))
    return lives - {MISSING}


def test_8_processes_count_exactly_over_the_edges_of_windows(start, own_redis):
    kinds = ["sync", "async"] * 4
    workers = start(*kinds)
    seconds = WINDOW * WINDOWS + WINDOW / 2
    orders = [
        worker.order(
            "limits.hammer", kind=kind, user=7, window=WINDOW, seconds=seconds, callers=4
        )
        for worker, kind in zip(workers, kinds)
    ]
    for worker, number in zip(workers, orders):
        assert worker.heard(number) is True
    for worker, number in zip(workers, orders):
        worker.go(number)
    lives = lives_of(own_redis, seconds)
    results = [worker.heard(number) for worker, number in zip(workers, orders)]
    callers = [requests for result in results for requests in result]
    requests = [tuple(request) for caller in callers for request in caller]
    first, windows = windows_of(requests)
    assert len(windows) >= WINDOWS
    for earlier, later in zip(first, first[1:]):
        assert later[1] - earlier[0] >= WINDOW - TICK, "a window is not shorter"
    for window in windows:
        numbers = sorted(number for _, _, number in window)
        assert numbers == list(range(1, len(window) + 1)), "each number once"
        if window is windows[-1]:
            break  # The end of the hammering may have cut it off.
        assert len(window) > LIMIT
        assert sum(number <= LIMIT for number in numbers) == LIMIT, "exactly the limit is admitted"
    assert ENDLESS not in lives, "a counter without an end would shut the user out for ever"
    assert max(lives) <= WINDOW * 1000
