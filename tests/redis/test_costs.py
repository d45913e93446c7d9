"""What a call costs the server: how many round trips, and how many commands, exactly.

A round trip is what a client sends until it waits, and the replies to that. Both are counted by
what stands between the cache and its server. Connections are greeted and scripts loaded before.
"""

from __future__ import annotations

import collections

import pytest
from processes import Entry, ask, start  # noqa: F401
from sick import Proxy


class Counter(Proxy):
    """Counts the round trips and the commands of everybody who comes."""

    def __init__(self, port):
        self.trips = 0
        self._asking = {}
        super().__init__(port)

    def _ask(self, client, server, data, commands):
        if not self._asking.get(client):
            self._asking[client] = True
            self.trips += 1
        return super()._ask(client, server, data, commands)

    def _answer(self, client, data):
        self._asking[client] = False
        return super()._answer(client, data)

    def costs(self, call):
        """The round trips and the commands of a call."""
        self.trips, self.commands = 0, []
        call()
        return self.trips, collections.Counter(self.commands)


@pytest.fixture
def counter(own_redis):
    with Counter(own_redis.port) as counter:
        yield counter


@pytest.fixture
def cache(door, counter):
    """A cache whose connection stands and whose scripts are loaded."""
    cache = door.make(counter.port, timeout=20, connect_timeout=20)
    function = door.cached(cache, ttl=60, singleflight=True, tags_from_result=lambda _: ["late"])(
        lambda: 1
    )
    function()
    cache.set("warm", 1, 60, tags=["warm"])
    cache.delete("warm")
    cache.set("warm", 1, 60, tags=["warm"])
    cache.invalidate_tags(["warm", "late"])
    door.cached(cache, ttl=60, singleflight=True, condition=lambda value: False)(lambda: 1)()
    return cache


def test_a_hit_is_one_round_trip_of_two_commands(door, counter, cache):
    function = door.cached(cache, ttl=60, singleflight=True)(lambda number: number)
    function(1)
    assert counter.costs(lambda: function(1)) == (1, {"GET": 1, "PTTL": 1})
    cache.get_or_set("k", 1, 60)
    assert counter.costs(lambda: cache.get_or_set("k", 1, 60)) == (1, {"GET": 1, "PTTL": 1})


def test_a_hit_with_tags_is_one_round_trip_with_one_more_command_for_each(door, counter, cache):
    tags = {"tags": lambda number: ["a", f"b:{number}"]}
    function = door.cached(cache, ttl=60, singleflight=True, **tags)(lambda number: number)
    function(1)
    assert counter.costs(lambda: function(1)) == (1, {"GET": 3, "PTTL": 1})


def test_a_hit_with_tags_that_only_the_result_knew_is_two_round_trips(door, counter, cache):
    tags = {"tags_from_result": lambda number: ["a", f"b:{number}"]}
    function = door.cached(cache, ttl=60, singleflight=True, **tags)(lambda number: number)
    function(1)
    assert counter.costs(lambda: function(1)) == (2, {"GET": 3, "PTTL": 1})


@pytest.mark.parametrize(
    ("options", "costs"),
    [
        ({}, (3, {"GET": 2, "PTTL": 3, "SET": 1, "EVALSHA": 1})),
        ({"tags": ["a"]}, (3, {"GET": 4, "PTTL": 3, "SET": 2, "PEXPIRE": 1, "EVALSHA": 2})),
        (
            {"tags_from_result": lambda _: ["a"]},
            (4, {"GET": 4, "PTTL": 3, "SET": 3, "PEXPIRE": 2, "EVALSHA": 2}),
        ),
        ({"condition": lambda value: False}, (3, {"GET": 2, "PTTL": 3, "SET": 1, "EVALSHA": 1})),
    ],
    ids=["plain", "tag", "late tag", "not stored"],
)
@pytest.mark.parametrize("singleflight", [True, False])
def test_a_miss_looks_and_claims_and_stores(door, counter, cache, options, costs, singleflight):
    decorate = door.cached(cache, ttl=60, singleflight=singleflight, **options)
    function = decorate(lambda number: number)
    assert counter.costs(lambda: function(1)) == costs
    assert counter.costs(lambda: cache.get_or_set("k", 1, 60, **options)) == costs


def test_an_invalidation_is_one_round_trip_and_three_more_to_free_what_it_removed(
    door, counter, cache
):
    first = {"UNLINK": 1, "GETDEL": 1, "ZCARD": 1}
    assert counter.costs(lambda: cache.invalidate_tags(["a"])) == (1, first)
    for entries in (1, 100):
        for number in range(entries):
            cache.set(f"k{number}", 1, 60, tags=["a"])
        more = {"ZRANGE": 1, "GET": 1, "EVALSHA": entries, "ZREM": 1}
        assert counter.costs(lambda: cache.invalidate_tags(["a"])) == (4, {**first, **more})


#: At most so many times in a second somebody looks who waits for another process, and this many
#: times more at first: a pause is 25 to 50 ms long in the end.
LOOKS, AT_FIRST = 28, 12
PROCESSES, SECONDS = 8, 2


@pytest.mark.parametrize("callers", [1, 125])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_who_waits_for_another_process_asks_for_all_callers_of_its_own(
    start, own_redis, kind, callers
):
    workers = start(*[kind] * PROCESSES, seconds=SECONDS)
    own_redis.command("CONFIG", "RESETSTAT")
    results = [answer.result() for answer in ask(workers, callers=callers)]
    assert Entry(own_redis).runs == 1
    claims = int(own_redis.info("cmdstat_set").split(",")[0].partition("=")[2])
    slowest = max(result["slowest"] for result in results)
    assert claims <= PROCESSES * (LOOKS * slowest + AT_FIRST)
    # Four commands for each of those, two for the first look of each caller, and what connections
    # and the function itself need.
    commands = own_redis.info("total_commands_processed")
    assert commands <= 4 * claims + (2 + 1) * PROCESSES * callers + 200
