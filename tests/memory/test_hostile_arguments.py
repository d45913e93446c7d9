"""Arguments that are compared by their own equality, and user code that runs in the comparison."""

import gc
import weakref

import pytest

from cachine import InMemoryCache, cached


class Argument:
    """Compared by number; what happens meanwhile is up to the test."""

    def __init__(self, number, on_hash=None, on_equal=None):
        self.number = number
        self.on_hash = on_hash
        self.on_equal = on_equal

    def __hash__(self):
        if self.on_hash:
            self.on_hash()
        return hash(self.number % 10)

    def __eq__(self, other):
        if self.on_equal:
            self.on_equal()
        return self.number == other.number


@pytest.fixture
def made():
    """A cache, a function cached in it that counts its calls, and the list of them."""
    cache, calls = InMemoryCache(), []

    @cached(cache)
    def function(argument):
        calls.append(argument.number)
        return argument.number

    return cache, function, calls


def test_equal_arguments_share_an_entry_and_others_do_not(made):
    _, function, calls = made
    for number in (1, 1, 11, 1, 11, 21):
        assert function(Argument(number)) == number
    assert calls == [1, 11, 21], "of equal hash are told apart by equality"


def test_a_hash_or_an_equality_that_raises_is_the_callers_and_breaks_nothing(made):
    cache, function, calls = made

    def fail():
        raise ZeroDivisionError

    assert function(Argument(1)) == 1
    with pytest.raises(ZeroDivisionError):
        function(Argument(1, on_hash=fail))
    assert function(Argument(2, on_equal=fail)) == 2
    with pytest.raises(ZeroDivisionError):
        function(Argument(12))
    assert function(Argument(1)) == 1
    assert calls == [1, 2]
    cache.set("key", 1)
    assert cache.get("key") == 1


def test_a_hash_or_an_equality_may_use_the_cache_and_the_function(made):
    cache, function, calls = made
    deep = []

    def act():
        if len(deep) < 4:
            deep.append(1)
            cache.set("key", 1, 60, tags=["tag"])
            cache.get_or_set("other", lambda: 1)
            cache.invalidate_tags(["tag"])
            function(Argument(31))
            function(Argument(1))
            gc.collect()

    assert function(Argument(1, on_hash=act)) == 1
    assert function(Argument(11, on_equal=act)) == 11
    assert function(Argument(1, on_equal=act)) == 1
    assert deep
    assert sorted(set(calls)) == [1, 11, 31]


def test_an_equality_that_clears_the_cache_gets_the_right_answer_all_the_same(made):
    cache, function, calls = made
    clear = lambda: cache.clear(dangerously_clear_all=True)  # noqa: E731
    for _ in range(50):
        assert function(Argument(1, on_equal=clear)) == 1
        assert function(Argument(11, on_equal=clear)) == 11
        assert function(Argument(1, on_hash=clear)) == 1
    clear()
    calls.clear()
    assert function(Argument(11)) == 11
    assert calls == [11]


def test_an_equality_that_changes_each_time_hangs_nobody(made):
    _, function, _ = made

    class Unsteady(Argument):
        answers = []

        def __eq__(self, other):
            self.answers.append(1)
            return len(self.answers) % 2 == 0

    for number in (1, 1, 11, 1) * 20:
        try:
            assert function(Unsteady(number)) in {1, 11}
        except TypeError:
            pass


def test_an_argument_is_kept_by_its_entry_and_let_go_with_it(made, clock):
    cache = InMemoryCache(max_size=2)

    @cached(cache, ttl=60)
    def function(argument):
        return argument.number

    arguments = [Argument(number) for number in range(6)]
    references = [weakref.ref(argument) for argument in arguments]
    for argument in arguments[:4]:
        function(argument)
    del arguments[:], argument
    gc.collect()
    alive = [number for number, reference in enumerate(references) if reference()]
    assert alive == [2, 3], "those whose entries are there"
    assert function(Argument(2)) == 2
    clock.advance(60)
    for _ in range(100):
        cache.set("other", 1)
    gc.collect()
    assert not any(reference() for reference in references)


def test_an_argument_whose_finalizer_asks_for_itself_is_let_go(made):
    cache, function, _ = made
    ended = []

    class Last(Argument):
        def __del__(self):
            ended.append(function(Argument(99)))
            cache.set("late", self.number)

    function(Last(1))
    cache.clear(dangerously_clear_all=True)
    gc.collect()
    assert ended == [99]


def test_an_instance_that_dies_takes_its_entries_with_it():
    cache = InMemoryCache()

    class Holder:
        @cached(cache)
        def method(self, number):
            return [number]

    one, other = Holder(), Holder()
    for number in range(50):
        one.method(number)
        other.method(number)
    assert len(cache) == 100
    del one
    gc.collect()
    assert len(cache) == 50
    assert other.method(7) is other.method(7)


def test_an_instance_at_the_address_of_a_dead_one_is_another():
    cache = InMemoryCache()

    class Holder:
        def __init__(self, name):
            self.name = name

        @cached(cache)
        def method(self):
            return self.name

    for number in range(200):  # Addresses are used again at once.
        assert Holder(number).method() == number
    assert len(cache) <= 1


def test_an_instance_without_weak_references_is_kept_by_its_entries(clock):
    cache = InMemoryCache()

    class Bare:
        __slots__ = ("name",)

        def __init__(self, name):
            self.name = name

        @cached(cache, ttl=60)
        def method(self):
            return self.name

    for number in range(200):
        assert Bare(number).method() == number, "its address is not used again while it is kept"
    assert len(cache) == 200
    clock.advance(60)
    for number in range(200, 400):
        assert Bare(number).method() == number
