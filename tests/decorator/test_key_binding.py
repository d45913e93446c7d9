"""One call has one key, however it is written; no call that does not fit has any (pitfall P4).

The oracle is Python itself: what it binds alike has one key, what it refuses is refused.
"""

from __future__ import annotations

import pytest
from cachine import InMemoryCache, cached
from hypothesis import given, settings
from hypothesis import strategies as st


def plain(a, b=2, c=3):
    return a, b, c


def only_by_name(a, *, b=2, c):
    return a, b, c


def everything(a, b=2, *more, c=3, **named):
    return a, b, more, c, named


def anything(*a, **b):
    return a, b


def nothing():
    return ()


def many(a, b, c, d, e, f, g, h, i, j, k, m, n, o=15, *, p=16):
    return locals()


def by_position(a, b=2, /, *c, **d):
    return a, b, c, d


FUNCTIONS = [plain, only_by_name, everything, anything, nothing, many, by_position]

small = st.integers(0, 3)
calls = st.tuples(
    st.lists(small, max_size=5).map(tuple),
    st.dictionaries(st.sampled_from(["a", "b", "c", "d", "p"]), small, max_size=4),
)


def bound(function, call):
    """What a call binds: each of these functions returns it. None when the call does not fit."""
    try:
        return function(*call[0], **call[1])
    except TypeError:
        return None


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@settings(max_examples=60, deadline=None)
@given(several=st.lists(calls, min_size=2, max_size=10))
def test_calls_have_one_key_exactly_when_python_binds_them_alike(function, several):
    f = cached(InMemoryCache())(function)
    seen = {}
    for call in several:
        meaning = bound(function, call)
        if meaning is None:
            with pytest.raises(TypeError):
                f.cache_key(*call[0], **call[1])
        else:
            seen.setdefault(f.cache_key(*call[0], **call[1]), []).append(meaning)
    for meanings in seen.values():
        assert all(meaning == meanings[0] for meaning in meanings)
    different = [meanings[0] for meanings in seen.values()]
    assert all(one != other for at, one in enumerate(different) for other in different[:at])


def test_every_way_to_write_a_call_hits_the_same_entry(cache):
    runs = []

    @cached(cache)
    def f(a, b=2, *, c=3):
        runs.append((a, b, c))
        return [a, b, c]

    first = f(1)
    for again in (
        lambda: f(1, 2),
        lambda: f(1, c=3),
        lambda: f(a=1),
        lambda: f(b=2, a=1),
        lambda: f(c=3, b=2, a=1),
        lambda: f(*[1], **{"c": 3}),
    ):
        assert again() is first
    assert runs == [(1, 2, 3)]
    assert f.cache_info().hits == 6


def test_names_that_are_not_interned_are_names_all_the_same(cache):
    f = cached(cache)(lambda parameter=1, **more: [parameter, more])
    made = "".join(["para", "meter"])
    other = "".join(["ot", "her"])
    assert f(**{made: 5}) is f(5)
    assert f(**{other: 5}) is f(other=5)


def test_a_default_counts_by_its_value_at_the_call(cache):
    default = []

    @cached(cache)
    def f(items=default):
        return list(items)

    assert f() == []
    default.append(1)
    assert f() == [1], "the default is another value now"
    assert f([1]) is f()


def test_a_name_that_two_parameters_could_take_stays_apart(cache):
    f = cached(cache)(by_position)
    assert f(1, a=2) == (1, 2, (), {"a": 2})
    assert f(1, b=5) == (1, 2, (), {"b": 5})
    keys = {f.cache_key(1), f.cache_key(1, a=2), f.cache_key(1, b=2), f.cache_key(1, 2, 2)}
    assert len(keys) == 4
    assert f.cache_key(1) == f.cache_key(1, 2)


MISFITS = [
    ((), {}),
    ((1, 2, 3, 4), {}),
    ((1,), {"a": 1}),
    ((1,), {"z": 1}),
]


@pytest.mark.parametrize(("args", "kwargs"), MISFITS)
def test_a_call_that_does_not_fit_raises_what_the_function_itself_raises(cache, args, kwargs):
    with pytest.raises(TypeError) as own:
        plain(*args, **kwargs)
    for options in ({}, {"singleflight": True}, {"key_builder": "k:{a}"}):
        f = cached(cache, **options)(plain)
        with pytest.raises(TypeError) as ours:
            f(*args, **kwargs)
        assert str(ours.value) == str(own.value)
        assert type(ours.value) is TypeError


def test_a_misfit_keeps_its_own_message_behind_a_key_builder(cache):
    f = cached(cache, key_builder=lambda a, b=2, c=3: f"{a}:{b}:{c}")(plain)
    with pytest.raises(TypeError, match=r"^plain\(\) missing 1 required positional argument: 'a'"):
        f()
    assert f(1) == (1, 2, 3)


def test_cache_key_of_a_call_that_does_not_fit_says_so():
    f = cached(InMemoryCache())(plain)
    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        f.cache_key()
    with pytest.raises(TypeError, match="too many positional arguments"):
        f.cache_key(1, 2, 3, 4)
