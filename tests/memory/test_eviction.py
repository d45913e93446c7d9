"""A bounded cache: how full it gets, and who leaves, exactly."""

import random
from collections import Counter

import pytest

from cachine import AsyncInMemoryCache, InMemoryCache
from cachine.exceptions import ConfigError
from cachine.strategies import FIFOEviction, LFUEviction, LRUEviction

POLICIES = (LRUEviction, LFUEviction, FIFOEviction)

#: What counts as a use of "a", and what does not.
USES = {
    "get": lambda cache: cache.get("a"),
    "get_many": lambda cache: cache.get_many(["a"]),
    "set": lambda cache: cache.set("a", 1),
    "set_many": lambda cache: cache.set_many({"a": 1}),
    "incr": lambda cache: cache.incr("a"),
    "decr": lambda cache: cache.decr("a"),
    "touch": lambda cache: cache.touch("a"),
    "touch with a time": lambda cache: cache.touch("a", 60),
    "get_or_set": lambda cache: cache.get_or_set("a", 1),
}
LOOKS = {
    "exists": lambda cache: cache.exists("a"),
    "ttl": lambda cache: cache.ttl("a"),
    "expire": lambda cache: cache.expire("a", 60),
    "expire_at": lambda cache: cache.expire_at("a", 2e9),
    "persist": lambda cache: cache.persist("a"),
    "add_tags": lambda cache: cache.add_tags("a", ["tag"]),
    "ping": lambda cache: cache.ping(),
    "len": len,
}


def filled(policy, size=3):
    cache = InMemoryCache(size, policy() if policy else None)
    for key in "abcdefgh"[:size]:
        cache.set(key, 1)
    return cache


def left(cache):
    return "".join(key for key in "abcdefghij" if cache.exists(key))


@pytest.mark.parametrize("policy", [None, LRUEviction, LFUEviction])
@pytest.mark.parametrize("use", USES)
def test_a_use_saves_an_entry(policy, use):
    cache = filled(policy)
    USES[use](cache)
    cache.set("d", 1)
    assert left(cache) == "acd"


@pytest.mark.parametrize("policy", [None, LRUEviction, LFUEviction])
@pytest.mark.parametrize("look", LOOKS)
def test_a_look_is_no_use(policy, look):
    cache = filled(policy)
    LOOKS[look](cache)
    cache.set("d", 1)
    assert left(cache) == "bcd"


@pytest.mark.parametrize("use", [*USES, *LOOKS])
def test_in_a_queue_neither_use_nor_look_makes_an_entry_younger(use):
    cache = filled(FIFOEviction)
    {**USES, **LOOKS}[use](cache)
    cache.set("d", 1)
    assert left(cache) == "bcd"
    cache.set("e", 1)
    assert left(cache) == "cde"


def test_an_entry_that_was_deleted_joins_the_queue_at_its_end():
    cache = filled(FIFOEviction)
    cache.delete("a")
    cache.set("a", 1)
    cache.set("d", 1)
    assert left(cache) == "acd"


def test_the_least_frequently_used_leaves_and_among_equals_the_least_recent():
    cache = filled(LFUEviction, 4)
    for key in "aaabbc":
        cache.get(key)
    cache.set("e", 1)  # d: one use.
    assert left(cache) == "abce"
    cache.get("e")  # e and c: two uses, e later.
    cache.set("f", 1)
    assert left(cache) == "abef"
    cache.set("g", 1)  # f: one use, and it came before g.
    assert left(cache) == "abeg"


def test_the_newest_entry_stays_readable_even_when_it_is_used_the_least():
    cache = InMemoryCache(1, LFUEviction())
    cache.set("a", 1)
    for _ in range(10):
        cache.get("a")
    cache.set("b", 2)
    assert cache.get("b") == 2
    assert left(cache) == "b"


def test_a_new_entry_of_an_old_name_has_none_of_its_uses(clock):
    cache = filled(LFUEviction, 3)
    cache.expire("a", 1)
    for _ in range(10):
        cache.get("a")
    for _ in range(2):
        cache.get("b")
        cache.get("c")
    clock.advance(1)
    cache.set("a", 1)
    cache.set("d", 1)
    assert left(cache) == "bcd"


@pytest.mark.parametrize("policy", POLICIES)
def test_expired_entries_leave_before_live_ones(clock, policy):
    cache = InMemoryCache(4, policy())
    cache.set("a", 1)
    cache.set("b", 1, 5)
    cache.set("c", 1)
    cache.set("d", 1, 5)
    for _ in range(5):
        cache.get("b")
        cache.get("d")
    clock.advance(5)
    cache.set("e", 1)
    cache.set("f", 1)
    assert left(cache) == "acef"
    assert cache.get_stats()["evictions"] == 0, "nothing that lived had to go"
    cache.set("g", 1)
    assert cache.get_stats()["evictions"] == 1
    assert len(cache) == 4


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("size", [1, 2, 7])
def test_there_are_never_more_entries_than_the_bound(policy, size):
    cache = InMemoryCache(max_size=size, eviction_policy=policy())
    choose = random.Random(size)
    for number in range(2000):
        key = f"key:{choose.randrange(3 * size)}"
        choose.choice(
            [
                lambda: cache.set(key, number),
                lambda: cache.set(key, number, 1000, tags=["a", "b"]),
                lambda: cache.incr("counter"),
                lambda: cache.get_or_set(key, number),
                lambda: cache.delete(key),
                lambda: cache.get(key),
            ]
        )()
        assert len(cache) <= size


class Naive:
    """What a policy says, by looking at every entry."""

    def __init__(self, policy, size):
        self.policy, self.size = policy, size
        self.time = 0
        self.made, self.used, self.uses = {}, {}, Counter()

    def use(self, key, is_write):
        self.time += 1
        if key not in self.made:
            if not is_write:
                return
            if len(self.made) == self.size:
                self.forget(min(self.made, key=self.rank))
            self.made[key] = self.time
        self.used[key] = self.time
        self.uses[key] += 1

    def rank(self, key):
        if self.policy is LFUEviction:
            return self.uses[key], self.used[key]
        return self.used[key] if self.policy is LRUEviction else self.made[key]

    def forget(self, key):
        for table in (self.made, self.used, self.uses):
            table.pop(key, None)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(10))
def test_who_leaves_is_what_a_naive_model_says(policy, seed):
    choose = random.Random(seed)
    size = choose.randrange(1, 12)
    cache, model = InMemoryCache(size, policy()), Naive(policy, size)
    for _ in range(1500):
        key = f"key:{int(choose.triangular(0, 25, 0))}"
        what = choose.randrange(5)
        if what == 0:
            cache.delete(key)
            model.forget(key)
        elif what <= 2:
            cache.set(key, 1)
            model.use(key, True)
        elif what == 3:
            cache.touch(key)
            model.use(key, False)
        else:
            assert (cache.get(key) is not None) == (key in model.made)
            model.use(key, False)
        assert {key for key in model.made if cache.exists(key)} == set(model.made)
        assert len(cache) == len(model.made)


def test_views_share_the_bound_of_their_store():
    cache = InMemoryCache(3)
    one, other = cache.with_namespace("one"), cache.with_namespace("other")
    one.set("a", 1)
    one.set("b", 1)
    other.set("a", 1)
    one.get("a")
    other.set("b", 1)
    assert (left(one), left(other)) == ("a", "ab")
    assert len(cache) == 3
    assert one.max_size == 3


def test_a_cache_without_a_bound_keeps_everything():
    cache = InMemoryCache(eviction_policy=LRUEviction())
    for number in range(5000):
        cache.set(str(number), number)
    assert len(cache) == 5000
    assert cache.get_stats()["evictions"] == 0


@pytest.mark.parametrize("kind", [InMemoryCache, AsyncInMemoryCache])
@pytest.mark.parametrize("name", ["max_size", "max_weight"])
@pytest.mark.parametrize("bound", [0, -1, -(10**30)])
def test_a_bound_below_one_is_refused_with_its_name_and_value(kind, name, bound):
    more = {"weigher": lambda key, value: 1} if name == "max_weight" else {}
    with pytest.raises(ConfigError, match=f"{name}={bound} must be at least 1, or None"):
        kind(**{name: bound}, **more)


@pytest.mark.parametrize("name", ["max_size", "max_weight"])
@pytest.mark.parametrize("bound", [True, 1.0, "10", [10]], ids=repr)
def test_a_bound_that_is_no_int_is_refused_by_its_type(name, bound):
    kind = type(bound).__name__
    with pytest.raises(TypeError, match=f"{name} must be an int or None, not {kind}"):
        InMemoryCache(**{name: bound})


def test_a_bound_beyond_64_bits_is_no_bound():
    cache = InMemoryCache(max_size=10**30)
    cache.set("a", 1)
    assert cache.get("a") == 1


@pytest.mark.parametrize("policy", ["lru", 1, object(), LRUEviction.__name__, dict], ids=str)
def test_a_policy_that_is_none_of_ours_is_refused_and_ours_are_named(policy):
    with pytest.raises(TypeError, match=r"LRUEviction\(\), LFUEviction\(\) or FIFOEviction\(\)"):
        InMemoryCache(10, policy)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_is_a_plain_choice_that_can_be_compared_and_shown(policy):
    assert policy() == policy()
    assert hash(policy()) == hash(policy())
    assert repr(policy()) == f"{policy.__name__}()"
    assert len({each() for each in POLICIES}) == 3
