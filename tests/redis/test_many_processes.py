"""Many processes ask for one entry at once: one computes it, and nobody gets an old value."""

from __future__ import annotations

import threading

import pytest
from doors import eventually
from processes import AT_ONCE, Entry, ask, start, tokens  # noqa: F401
from sick import Proxy

from cachine import RedisCache

KINDS = ["sync", "async"]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def entry(own_redis):
    return Entry(own_redis)


@pytest.fixture
def other(own_redis):
    """A cache of this process, which is one more beside the workers."""
    with RedisCache("127.0.0.1", own_redis.port, namespace="ns", timeout=20) as cache:
        yield cache


# One computation.


@pytest.mark.parametrize("via", ["cached", "get_or_set"])
def test_8_processes_with_125_callers_each_compute_once(start, own_redis, entry, kind, via):
    answers = ask(start(*[kind] * 8, via=via, seconds=0.3), callers=125)
    values = [value for answer in answers for value in answer.values]
    assert len(values) == 1000
    assert entry.runs == 1
    assert [value for value in values if value != values[0]] == []
    assert entry.stored == values[0]
    assert tokens(own_redis) == []


def test_threads_and_tasks_of_different_processes_share_one_computation(start, entry):
    answers = ask(start("sync", "async", "sync", "async"), callers=10)
    name, number = entry.began()
    entry.let_go(1)
    values = [value for answer in answers for value in answer.values]
    assert values == [[name, number, None]] * 40
    assert entry.runs == 1


# Stale values.


def test_a_stale_entry_is_refreshed_by_one_process_and_answered_by_all(
    start, own_redis, entry, kind
):
    workers = start(*[kind] * 8, stale_ttl=600)
    entry.let_go(1)
    (first,) = ask(workers[:1])
    (old,) = first.values
    assert entry.began() == (workers[0].name, 1)
    own_redis.age(61)
    for _ in range(3):
        # Nobody lets the second computation go: whoever waited for it would wait for ever.
        answers = ask(workers, callers=10)
        assert [value for answer in answers for value in answer.values] == [old] * 80
    name, number = entry.began()
    assert number == 2
    entry.let_go(2)
    new = [name, 2, None]

    def is_new():
        return all(answer.values == [new] for answer in ask(workers))

    eventually(is_new, "all processes have the refreshed value")
    assert entry.runs == 2


# What is not stored.


@pytest.mark.parametrize("ends", ["raises", "refuses", "unstorable"])
def test_after_a_result_that_is_not_stored_all_processes_compute_side_by_side(
    start, own_redis, entry, kind, ends
):
    workers = start(*[kind] * 8, ends=ends)
    names = {worker.name for worker in workers}
    with entry.waiters() as wait:
        answers = ask(workers)
        first, _ = entry.began()
        wait(8)
    more = ask(workers, callers=2)
    eventually(
        lambda: all(worker.info()["coalesced"] == 2 for worker in workers),
        "the callers of a process have met",
    )
    entry.let_go(1)
    # Nobody lets these go before all have begun.
    others = names - {first}
    while others:
        begun = entry.began()
        assert begun is not None, f"{others} wait for others"
        others.remove(begun[0])
    entry.let_go(*range(2, 9))
    for answer in [*answers, *more]:
        result = answer.result()
        if ends == "raises":
            assert set(result["errors"]) == {"LookupError"}
        else:
            assert not result["errors"]
            assert len({str(value) for value in result["values"]}) == 1
    assert entry.runs == 8, "one flight in each process"
    assert entry.stored is None
    # What is left of it is in nobody's way.
    entry.let_go(9)
    (late,) = ask(workers[:1])
    late.result()
    assert entry.runs == 9


def test_none_that_is_not_stored_is_the_result_of_all_processes(start, own_redis, entry, kind):
    workers = start(*[kind] * 8, ends="None")
    with entry.waiters() as wait:
        answers = ask(workers)
        assert entry.began() is not None
        wait(8)
    answers += ask(workers, callers=2)
    eventually(
        lambda: all(worker.info()["coalesced"] == 2 for worker in workers),
        "the callers of a process have met",
    )
    entry.let_go(1)
    assert [value for answer in answers for value in answer.values] == [None] * 24
    assert entry.runs == 1
    # It was not stored: who did not wait for it computes.
    entry.let_go(2)
    (late,) = ask(workers[:1])
    assert late.values == [None]
    assert entry.runs == 2


# Invalidations.


WRITES = {
    "tags": lambda cache: cache.invalidate_tags(["tag"]),
    "delete": lambda cache: cache.delete("k"),
    "clear": lambda cache: cache.clear(),
}


@pytest.mark.parametrize("write", WRITES)
def test_who_asks_after_an_invalidation_gets_what_was_computed_after_it(
    start, own_redis, entry, other, kind, write
):
    """The process is waiting for another one's older computation at that moment."""
    holder, waiter = start(kind, kind, tags=["tag"])
    own_redis.command("SET", "source:k", "older")
    ask([holder])
    assert entry.began() == (holder.name, 1)
    with entry.waiters() as wait:
        (early,) = ask([waiter])
        wait(1)
    own_redis.command("SET", "source:k", "newer")
    WRITES[write](other)
    (late,) = ask([waiter])
    entry.let_go(1, 2, 3)
    ((_, _, source),) = late.values
    assert source == "newer"
    ((_, _, source),) = early.values
    assert source in ("older", "newer")
    assert other.get("k")[2] == "newer"


class Holding(Proxy):
    """Holds a reply back that has a word in it, while other connections go on."""

    def __init__(self, port, word):
        self._word = word.encode()
        #: Set when one is held; to be set when it may go on.
        self.has_held = threading.Event()
        self.goes_on = threading.Event()
        super().__init__(port)

    def _answer(self, client, data):
        if self._word in data and not self.has_held.is_set():
            self.has_held.set()
            assert self.goes_on.wait(AT_ONCE)
        return super()._answer(client, data)


@pytest.mark.parametrize("write", WRITES)
def test_who_joins_a_flight_that_has_found_an_older_value_does_not_get_it(
    start, own_redis, entry, other, kind, write
):
    """The value is found while it is good; it is invalidated, and then somebody joins."""
    with Holding(own_redis.port, "older") as proxy:
        (holder,) = start(kind, tags=["tag"])
        (waiter,) = start(kind, tags=["tag"], port=proxy.port)
        own_redis.command("SET", "source:k", "older")
        (first,) = ask([holder])
        assert entry.began() == (holder.name, 1)
        with entry.waiters() as wait:
            (early,) = ask([waiter])
            wait(1)
        entry.let_go(1)
        assert first.values == [[holder.name, 1, "older"]]
        assert proxy.has_held.wait(AT_ONCE), "the process has found it"
        own_redis.command("SET", "source:k", "newer")
        WRITES[write](other)
        # Another loop has a connection of its own, where nothing is held back.
        (late,) = ask([waiter], loop=1)
        eventually(lambda: waiter.info()["coalesced"] == 1, "the late caller has joined")
        entry.let_go(2, 3)
        proxy.goes_on.set()
        assert late.values == [[waiter.name, 2, "newer"]]
        ((_, _, source),) = early.values
        assert source in ("older", "newer")
