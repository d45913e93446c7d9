"""What becomes of those who wait when who computes dies, freezes, takes long or gives up."""

from __future__ import annotations

import time

import pytest
from doors import eventually
from processes import AT_ONCE, Entry, ask, start, tokens  # noqa: F401

#: Seconds that a right to store lives unless it is renewed.
LEASE = 5.0
#: Seconds between two looks of those who wait, and what a busy machine adds.
SLACK = 2.0


@pytest.fixture(params=["sync", "async"])
def kind(request):
    return request.param


@pytest.fixture
def entry(own_redis):
    return Entry(own_redis)


def end_lease(server):
    """The time of a right is up."""
    (token,) = tokens(server)
    server.command("DEL", token)


# Killed.


def test_a_holder_that_is_killed_costs_its_lease_and_one_other_takes_over(
    start, own_redis, entry, kind
):
    holder, *others = start(*[kind] * 4)
    ask([holder], callers=3)
    assert entry.began() == (holder.name, 1)
    with entry.waiters() as wait:
        answers = ask(others, callers=5)
        wait(3)
    holder.kill()
    since, left = time.monotonic(), own_redis.command("PTTL", *tokens(own_redis)) / 1000
    assert left > LEASE / 2, "it was renewed, if it is that old"
    name, number = entry.began(within=LEASE + SLACK)
    assert time.monotonic() - since > left - 0.5
    assert number == 2
    assert entry.began(within=0.3) is None, "exactly one takes over"
    entry.let_go(2)
    values = [value for answer in answers for value in answer.values]
    assert values == [[name, 2, None]] * 15
    assert entry.runs == 2
    assert entry.stored == [name, 2, None]


# Frozen.


def test_a_holder_that_was_frozen_past_its_lease_writes_nothing(start, own_redis, entry, kind):
    holder, *others = start(*[kind] * 3)
    # Of two callers one computes, and the other has joined it.
    first = ask([holder])
    assert entry.began() == (holder.name, 1)
    second = ask([holder])
    eventually(lambda: holder.info()["coalesced"] == 1, "the second has joined")
    with entry.waiters() as wait:
        answers = ask(others, callers=2)
        wait(2)
    holder.freeze()
    end_lease(own_redis)
    name, number = entry.began()
    assert number == 2
    entry.let_go(2)
    newer = [name, 2, None]
    assert [value for answer in answers for value in answer.values] == [newer] * 4
    assert entry.stored == newer
    entry.let_go(1)
    holder.thaw()
    assert first[0].values == [[holder.name, 1, None]], "its own caller gets what it computed"
    assert second[0].values == [newer], "nobody else does"
    assert entry.stored == newer
    assert ask([holder])[0].values == [newer]
    assert entry.runs == 2
    assert tokens(own_redis) == []


def test_a_frozen_holder_does_not_harm_who_computes_at_that_moment(start, own_redis, entry, kind):
    """The right has passed to somebody else, who has not stored anything yet."""
    holder, other = start(kind, kind)
    (first,) = ask([holder])
    assert entry.began() == (holder.name, 1)
    holder.freeze()
    end_lease(own_redis)
    (second,) = ask([other])
    assert entry.began() == (other.name, 2)
    entry.let_go(1)
    holder.thaw()
    assert first.values == [[holder.name, 1, None]]
    assert entry.stored is None
    assert len(tokens(own_redis)) == 1, "it has not given the other's right away"
    entry.let_go(2)
    assert second.values == [[other.name, 2, None]]
    assert entry.stored == [other.name, 2, None]
    assert entry.runs == 2


def test_the_leases_of_frozen_holders_end_by_themselves(start, own_redis):
    keys = {"sync": Entry(own_redis, "of threads"), "async": Entry(own_redis, "of tasks")}
    holders = start(*keys)
    others = start("sync", "async")
    own = {}
    for holder, (kind, entry) in zip(holders, keys.items()):
        (own[kind],) = ask([holder], entry.key)
        assert entry.began() == (holder.name, 1)
        holder.freeze()
    since = time.monotonic()
    answers = {kind: ask(others, entry.key) for kind, entry in keys.items()}
    for entry in keys.values():
        assert entry.began(within=LEASE + SLACK) is not None
    assert time.monotonic() - since > LEASE - 1
    for holder, (kind, entry) in zip(holders, keys.items()):
        entry.let_go(1, 2)
        values = [value for answer in answers[kind] for value in answer.values]
        assert values == [entry.stored] * 2
        assert entry.stored[1] == 2
        holder.thaw()
        assert own[kind].values == [[holder.name, 1, None]]
        assert entry.stored[1] == 2
        assert entry.runs == 2


# Slow.


def test_a_holder_keeps_its_right_for_longer_than_a_lease(start, own_redis):
    keys = {"sync": Entry(own_redis, "of threads"), "async": Entry(own_redis, "of tasks")}
    holders = start(*keys)
    others = start("sync", "async")
    answers = {}
    for holder, (kind, entry) in zip(holders, keys.items()):
        answers[kind] = ask([holder], entry.key)
        assert entry.began() == (holder.name, 1)
    for kind, entry in keys.items():
        answers[kind] += ask(others, entry.key)
    first, second = keys.values()
    # Seven seconds after the claim; a lease has five.
    assert first.began(within=LEASE + 2) is None, "nobody takes over"
    assert second.began(within=0.01) is None, "nobody takes over"
    for holder, (kind, entry) in zip(holders, keys.items()):
        entry.let_go(1)
        values = [value for answer in answers[kind] for value in answer.values]
        assert values == [[holder.name, 1, None]] * 3
        assert entry.stored == values[0], "the right stood to the end"
        assert entry.runs == 1


# Gone before the end.


def test_a_waiter_that_is_cancelled_leaves_the_others_alone(start, own_redis, entry):
    holder, waiter, lonely = start("async", "async", "async")
    (first,) = ask([holder])
    assert entry.began() == (holder.name, 1)
    with entry.waiters() as wait:
        some, alone = ask([waiter], callers=3) + ask([lonely])
        wait(2)
    eventually(lambda: waiter.info()["coalesced"] == 2, "all three wait")
    some.cancel(0, 2)
    alone.cancel(0)
    assert alone.result()["errors"] == ["CancelledError"]
    # Whoever was cancelled may come again.
    (again,) = ask([lonely])
    entry.let_go(1)
    result = some.result()
    assert result["errors"] == ["CancelledError"] * 2
    value = [holder.name, 1, None]
    assert result["values"] == [value]
    assert again.values == first.values == [value]
    assert entry.runs == 1


@pytest.mark.parametrize("place", ["first", "last"])
def test_ctrl_c_of_a_waiter_leaves_the_others_alone(start, own_redis, entry, place):
    """It is the one of its process that asks the server, or one that waits for that one."""
    holder, waiter = start("sync", "sync")
    (first,) = ask([holder])
    assert entry.began() == (holder.name, 1)
    calls = [{"here": True}, {"callers": 2}]
    calls.sort(key=lambda call: ("here" in call) == (place == "last"))
    answers = {}
    with entry.waiters() as wait:
        for call in calls:
            (answers["here" in call],) = ask([waiter], **call)
            wait(1)  # The first of them asks the server.
    eventually(lambda: waiter.info()["coalesced"] == 2, "all three wait")
    waiter.interrupt()
    # Nobody has let the function go.
    assert answers[True].result()["errors"] == ["KeyboardInterrupt"]
    entry.let_go(1)
    value = [holder.name, 1, None]
    assert answers[False].values == [value] * 2
    assert first.values == [value]
    assert entry.runs == 1
    assert tokens(own_redis) == []


def test_a_holder_whose_callers_are_all_cancelled_hands_over_at_once(start, own_redis, entry):
    holder, other = start("async", "async")
    (mine,) = ask([holder], callers=3)
    assert entry.began() == (holder.name, 1)
    eventually(lambda: holder.info()["coalesced"] == 2, "all three wait for one computation")
    with entry.waiters() as wait:
        (answer,) = ask([other], callers=2)
        wait(1)
    mine.cancel(0, 1)
    assert entry.began(within=0.3) is None, "somebody still waits for it"
    mine.cancel(2)
    assert entry.began(within=LEASE / 2) == (other.name, 2), "long before the lease ends"
    assert mine.result()["errors"] == ["CancelledError"] * 3
    entry.let_go(2)
    assert answer.values == [[other.name, 2, None]] * 2
    assert entry.stored == [other.name, 2, None]
    assert entry.runs == 2


def test_a_holder_that_is_interrupted_hands_over_at_once(start, own_redis, entry):
    (holder,) = start("sync")
    (mine,) = ask([holder], here=True)
    assert entry.began() == (holder.name, 1)
    (others,) = ask([holder], callers=2)
    eventually(lambda: holder.info()["coalesced"] == 2, "both wait for it")
    holder.interrupt()
    assert entry.began(within=LEASE / 2) == (holder.name, 2), "long before the lease ends"
    assert mine.result()["errors"] == ["KeyboardInterrupt"]
    entry.let_go(2)
    assert others.values == [[holder.name, 2, None]] * 2
    assert tokens(own_redis) == []
