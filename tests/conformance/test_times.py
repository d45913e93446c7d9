"""A time is seconds or a timedelta, wherever one is taken; what is no time is refused there."""

import math
from datetime import timedelta
from decimal import Decimal

import pytest

#: Every place that takes a length of time, as a call that gives "key" this life.
PLACES = {
    "set": lambda cache, time: cache.set("key", 1, time),
    "set by name": lambda cache, time: cache.set("key", 1, ttl=time),
    "set_many": lambda cache, time: cache.set_many({"key": 1}, time),
    "set_many by name": lambda cache, time: cache.set_many({"key": 1}, ttl=time),
    "expire": lambda cache, time: _existing(cache, lambda: cache.expire("key", time)),
    "expire by name": lambda cache, time: _existing(cache, lambda: cache.expire("key", ttl=time)),
    "touch": lambda cache, time: _existing(cache, lambda: cache.touch("key", time)),
    "touch by name": lambda cache, time: _existing(cache, lambda: cache.touch("key", ttl=time)),
    "incr": lambda cache, time: cache.incr("key", 1, time),
    "incr by name": lambda cache, time: cache.incr("key", ttl_on_create=time),
    "decr": lambda cache, time: cache.decr("key", 1, time),
    "decr by name": lambda cache, time: cache.decr("key", ttl_on_create=time),
    "get_or_set": lambda cache, time: cache.get_or_set("key", 1, time),
    "get_or_set by name": lambda cache, time: cache.get_or_set("key", 1, ttl=time),
}


async def _existing(cache, call):
    await cache.set("key", 1)
    return await call()


places = pytest.mark.parametrize("place", PLACES)


@places
@pytest.mark.parametrize(
    ("time", "milliseconds"),
    [
        (2, 2000),
        (1.5, 1500),
        (0.25, 250),
        (0.001, 1),
        (0.0149, 15),
        (0.0001, 1),
        (5e-324, 1),
        (timedelta(minutes=1), 60_000),
        (timedelta(milliseconds=3), 3),
        (timedelta(microseconds=1), 1),
        (timedelta(days=-1, hours=24, seconds=1), 1000),
    ],
    ids=str,
)
async def test_a_life_ends_at_its_millisecond_and_not_before(
    cache, column, place, time, milliseconds
):
    await PLACES[place](cache, time)
    life = milliseconds / 1000
    if life > column.moment or life == column.moment == 0.001:
        column.advance(life - column.moment)
        assert await cache.exists("key") is True
        life = column.moment
    column.advance(life)
    assert await cache.exists("key") is False
    assert await cache.get("key", "gone") == "gone"


@places
@pytest.mark.parametrize(
    "time",
    [0, -1, 0.0, -0.0, -1e300, -math.inf, -(10**400), timedelta(0), timedelta(days=-3)],
    ids=str,
)
async def test_no_time_at_all_or_less_leaves_no_entry(cache, place, time):
    await PLACES[place](cache, time)
    assert await cache.exists("key") is False
    assert await cache.get("key", "gone") == "gone"


@places
@pytest.mark.parametrize(
    "time", [1e12, 1e300, math.inf, 10**12, 10**400, timedelta.max], ids=lambda t: str(t)[:20]
)
async def test_a_huge_time_is_as_long_as_can_be_and_still_has_an_end(cache, column, place, time):
    await PLACES[place](cache, time)
    column.advance(50 * 365 * 86_400)
    assert await cache.exists("key") is True
    assert await cache.ttl("key") > 50 * 365 * 86_400
    assert await cache.persist("key") is True


@places
@pytest.mark.parametrize(
    "time",
    [True, False, "60", b"60", [60], 1j, Decimal(60), object, float],
    ids=lambda t: type(t).__name__,
)
async def test_what_is_no_time_is_a_type_error_that_says_what_is_one(cache, place, time):
    name = "ttl_on_create" if place[1:4] in {"ncr", "ecr"} else "ttl"
    message = rf"{name} must be seconds \(int or float\) or a timedelta, not {type(time).__name__}"
    with pytest.raises(TypeError, match=message):
        await PLACES[place](cache, time)


@places
async def test_not_a_number_is_a_value_error(cache, place):
    with pytest.raises(ValueError, match="nan is no time"):
        await PLACES[place](cache, math.nan)


async def test_a_wrong_time_leaves_the_entry_as_it_was(cache):
    await cache.set("key", "value", 60)
    for time, error in (("1", TypeError), (True, TypeError), (math.nan, ValueError)):
        for call in (
            cache.set("key", "new", time),
            cache.expire("key", time),
            cache.touch("key", time),
            cache.incr("counter", 1, time),
        ):
            with pytest.raises(error):
                await call
    assert await cache.get("key") == "value"
    assert await cache.ttl("key") == 60
    assert await cache.exists("counter") is False


async def test_a_subclass_of_a_number_or_of_timedelta_is_a_time(cache):
    class Seconds(int):
        pass

    class Length(timedelta):
        pass

    class Fraction(float):
        pass

    for time in (Seconds(60), Length(minutes=1), Fraction(60)):
        await cache.set("key", 1, time)
        assert await cache.ttl("key") == 60


async def test_none_is_for_ever_where_there_may_be_no_time(cache, column):
    await cache.set("set", 1, None)
    await cache.set_many({"many": 1}, None)
    await cache.incr("counter", ttl_on_create=None)
    await cache.get_or_set("computed", 1, None)
    column.advance(100 * 365 * 86_400)
    assert len(await cache.get_many(["set", "many", "counter", "computed"])) == 4
    with pytest.raises(TypeError, match="ttl must be seconds"):
        await cache.expire("set", None)
