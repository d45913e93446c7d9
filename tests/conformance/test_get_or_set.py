"""Reading, or computing and storing: who computes, and what is kept."""

import pytest

from cachine.exceptions import ConfigError


def counting(column, *values):
    """A factory that gives one value after the other, and the list of its calls."""
    calls = []

    async def compute():
        calls.append(len(calls))
        return values[min(len(calls), len(values)) - 1]

    return column.factory(compute), calls


async def test_a_miss_is_computed_and_stored_and_a_hit_is_not(cache, column):
    factory, calls = counting(column, "one", "two")
    assert await cache.get_or_set("key", factory) == "one"
    assert await cache.get_or_set("key", factory) == "one"
    assert await cache.get("key") == "one"
    assert await cache.ttl("key") is None
    assert len(calls) == 1
    await cache.delete("key")
    assert await cache.get_or_set("key", factory) == "two"


async def test_arguments_may_have_their_names(cache, column):
    factory, _ = counting(column, "value")
    found = await cache.get_or_set(
        key="key",
        factory=factory,
        ttl=60,
        condition=bool,
        cache_none=False,
        jitter=0,
        stale_ttl=120,
        tags=["tag"],
        tags_from_result=lambda result: [result],
    )
    assert found == "value"
    assert await cache.ttl("key") == 120
    assert await cache.invalidate_tags(["value"]) == 1


async def test_a_factory_may_be_a_function_a_class_or_the_value_itself(cache):
    assert await cache.get_or_set("function", lambda: 1) == 1
    assert await cache.get_or_set("class", dict) == {}
    assert await cache.get_or_set("value", 3) == 3
    assert await cache.get_many(["function", "class", "value"]) == {
        "function": 1,
        "class": {},
        "value": 3,
    }


async def test_a_life_of_a_computed_value_ends(cache, column):
    factory, calls = counting(column, "one", "two")
    await cache.get_or_set("key", factory, 60)
    column.advance(60 - column.moment)
    assert await cache.get_or_set("key", factory, 60) == "one"
    column.advance(column.moment)
    assert await cache.get_or_set("key", factory, 60) == "two"
    assert len(calls) == 2


async def test_the_exception_of_a_factory_is_the_callers_and_nothing_is_stored(cache, column):
    error = ValueError("mine")

    async def fail():
        raise error

    with pytest.raises(ValueError, match="mine") as caught:
        await cache.get_or_set("key", column.factory(fail))
    assert caught.value is error
    assert await cache.exists("key") is False
    assert await cache.get_or_set("key", 1) == 1


async def test_none_is_stored_only_when_it_is_asked_for(cache, column):
    factory, calls = counting(column, None)
    assert await cache.get_or_set("key", factory) is None
    assert await cache.exists("key") is False
    assert await cache.get_or_set("key", factory, cache_none=True) is None
    assert await cache.exists("key") is True
    assert await cache.get_or_set("key", factory) is None
    assert len(calls) == 2


async def test_a_result_that_the_condition_refuses_is_returned_and_not_stored(cache, column):
    factory, calls = counting(column, 1, 2, 3)
    even = {"condition": lambda result: result % 2 == 0}
    assert await cache.get_or_set("key", factory, **even) == 1
    assert await cache.exists("key") is False
    assert await cache.get_or_set("key", factory, **even) == 2
    assert await cache.get_or_set("key", factory, **even) == 2
    assert len(calls) == 2


@pytest.mark.parametrize("name", ["condition", "tags_from_result"])
async def test_a_callback_that_raises_after_the_computation_costs_only_the_storing(
    cache, column, name
):
    def fail(result):
        raise ZeroDivisionError

    factory, calls = counting(column, "value")
    assert await cache.get_or_set(f"key:{name}", factory, **{name: fail}) == "value"
    assert await cache.exists(f"key:{name}") is False
    assert len(calls) == 1


async def test_tags_come_from_a_list_a_callable_and_the_result(cache, column):
    await cache.get_or_set("a", 1, tags=["list"])
    await cache.get_or_set("b", 1, tags=lambda: ["called"])
    await cache.get_or_set("c", 1, tags=["list"], tags_from_result=lambda r: [f"result:{r}"])
    assert await cache.invalidate_tags(["called"]) == 1
    assert await cache.invalidate_tags(["result:1"]) == 1
    assert await cache.invalidate_tags(["list"]) == 1
    await cache.get_or_set("d", 1, tags=lambda: None, tags_from_result=lambda r: None)
    assert await cache.exists("d") is True


async def test_tags_that_raise_do_so_before_the_factory_runs(cache, column):
    def fail():
        raise ZeroDivisionError

    factory, calls = counting(column, "value")
    for tags, error in ((fail, ZeroDivisionError), (1, TypeError), ([1], TypeError)):
        with pytest.raises(error):
            await cache.get_or_set("key", factory, tags=tags)
    assert calls == []
    assert await cache.get_or_set("key", factory) == "value"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stale_ttl": 5}, ConfigError, "stale_ttl=5 without ttl"),
        ({"ttl": 5, "stale_ttl": "9"}, TypeError, "stale_ttl must be seconds"),
        ({"ttl": 5, "jitter": True}, TypeError, "jitter must be seconds"),
        ({"ttl": 5, "jitter": float("nan")}, ValueError, "jitter=nan"),
        ({"condition": 1}, TypeError, "condition must be a callable or None, not int"),
        ({"tags_from_result": []}, TypeError, "tags_from_result must be a callable or None"),
        ({"tags": "tag"}, TypeError, "not one str"),
        ({"until": 1}, TypeError, "until"),
        ({"version": "v1"}, TypeError, "version"),
    ],
    ids=str,
)
async def test_a_wrong_option_is_an_error_and_the_factory_does_not_run(
    cache, column, options, error, message
):
    factory, calls = counting(column, "value")
    with pytest.raises(error, match=message):
        await cache.get_or_set("key", factory, **options)
    assert calls == []


async def test_callers_at_once_share_one_computation(cache, column):
    calls = []

    async def compute():
        calls.append(1)
        while cache.get_stats()["coalesced"] < 9:
            await column.turn()
        return ["made"]

    results = await column.together(
        lambda: cache.get_or_set("key", column.factory(compute)), 10
    )
    assert len(calls) == 1
    assert len(set(map(id, results))) == 1
    found = await cache.get("key")
    assert found == results[0] and (found is results[0] or not column.keeps_objects)


async def test_callers_at_once_share_what_is_not_stored_and_what_is_raised(cache, column):
    calls = []

    async def nothing():
        calls.append("nothing")
        while cache.get_stats()["coalesced"] < 4:
            await column.turn()

    assert await column.together(
        lambda: cache.get_or_set("nothing", column.factory(nothing)), 5
    ) == [None] * 5
    error = ValueError("once")

    async def fail():
        calls.append("fail")
        while cache.get_stats()["coalesced"] < 8:
            await column.turn()
        raise error

    async def caught():
        with pytest.raises(ValueError, match="once") as caught:
            await cache.get_or_set("fail", column.factory(fail))
        return caught.value

    assert await column.together(caught, 5) == [error] * 5
    assert calls == ["nothing", "fail"]
    assert await cache.get_many(["nothing", "fail"]) == {}


@pytest.mark.parametrize("change", ["set", "delete", "incr", "tags", "late tags", "clear"])
async def test_a_value_that_is_older_than_a_change_is_returned_and_not_stored(column, change):
    cache = column.make(namespace="a")

    async def compute():
        if change == "set":
            await cache.set("key", "newer")
        elif change == "delete":
            await cache.delete("key")
        elif change == "incr":
            await cache.incr("key")
        elif change == "clear":
            await cache.clear()
        else:
            await cache.invalidate_tags(["early" if change == "tags" else "late"])
        return "older"

    factory = column.factory(compute)
    options = {"tags": ["early"], "tags_from_result": lambda result: ["late"]}
    assert await cache.get_or_set("key", factory, **options) == "older"
    after = {"set": "newer", "incr": 1}
    assert await cache.get("key") == after.get(change)


@pytest.mark.parametrize("late", [True, False], ids=["late tags", "known tags"])
async def test_an_invalidation_of_other_tags_stops_nothing(cache, column, late):
    async def compute():
        await cache.invalidate_tags(["other"])
        await cache.set("other", 1)
        return "value"

    options = {"tags_from_result": lambda r: ["two"]} if late else {}
    await cache.get_or_set("key", column.factory(compute), tags=["one"], **options)
    is_stored = not late or column.stores_beside_other_tags
    assert await cache.get("key") == ("value" if is_stored else None)


async def test_a_factory_that_asks_for_its_own_key_runs_again_instead_of_waiting(cache, column):
    depth = []

    async def compute():
        depth.append(1)
        if len(depth) < 3:
            return await cache.get_or_set("key", column.factory(compute))
        return len(depth)

    assert await cache.get_or_set("key", column.factory(compute)) == 3
    assert await cache.get("key") == 3


async def test_a_computation_counts_as_one_miss_and_one_set(cache, column):
    factory, _ = counting(column, "value")
    await cache.get_or_set("key", factory)
    await cache.get_or_set("key", factory)
    stats = cache.get_stats()
    assert (stats["misses"], stats["hits"], stats["sets"]) == (1, 1, 1)
