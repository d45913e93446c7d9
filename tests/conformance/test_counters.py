"""Counters: exact over 64 bits, or unchanged."""

import enum

import pytest

from cachine.exceptions import CacheError, CounterOverflowError, SerializationError

MOST, LEAST = 2**63 - 1, -(2**63)


class Level(enum.IntEnum):
    LOW = 1


async def test_a_counter_begins_at_zero_and_get_returns_the_int(cache):
    assert await cache.incr("key") == 1
    assert await cache.incr("key") == 2
    assert await cache.incr("key", 10) == 12
    assert await cache.incr("key", delta=-2) == 10
    assert await cache.decr("key") == 9
    assert await cache.decr("key", 10) == -1
    assert await cache.decr("key", delta=-1) == 0
    assert await cache.incr("key", 0) == 0
    found = await cache.get("key")
    assert found == 0
    assert type(found) is int


async def test_every_argument_of_a_counter_may_stand_in_its_place_or_have_its_name(cache):
    assert await cache.incr("a", 5, 60) == 5
    assert await cache.incr(key="b", delta=5, ttl_on_create=60) == 5
    assert await cache.decr("c", 5, 60) == -5
    assert await cache.decr(key="d", delta=5, ttl_on_create=60) == -5
    assert [await cache.ttl(key) for key in "abcd"] == [60] * 4


async def test_a_counter_counts_on_from_an_int_that_was_set(cache, column):
    await cache.set("key", 41, 60, tags=["tag"])
    if column.counts_what_was_set:
        assert await cache.incr("key") == 42
    else:
        with pytest.raises(SerializationError, match="encrypted"):
            await cache.incr("key")
        assert await cache.get("key") == 41
    column.advance(59)
    assert await cache.ttl("key") == 1, "the life is kept"
    assert await cache.invalidate_tags(["tag"]) == 1, "the tags are kept"


async def test_the_time_is_set_only_by_the_call_that_creates_the_counter(cache, column):
    assert await cache.incr("key", ttl_on_create=60) == 1
    column.advance(30)
    assert await cache.incr("key", ttl_on_create=60) == 2
    assert await cache.ttl("key") == 30
    await cache.incr("other")
    await cache.incr("other", ttl_on_create=60)
    assert await cache.ttl("other") is None


async def test_an_expired_counter_starts_anew(cache, column):
    await cache.incr("key", 100, ttl_on_create=60)
    column.advance(60)
    assert await cache.incr("key", ttl_on_create=10) == 1
    assert await cache.ttl("key") == 10


async def test_a_counter_without_time_to_live_is_counted_once_and_gone(cache):
    for _ in range(3):
        assert await cache.incr("key", 5, ttl_on_create=0) == 5
    assert await cache.exists("key") is False


@pytest.mark.parametrize("edge", [MOST, LEAST])
async def test_the_edges_of_64_bits_are_reached_exactly(cache, edge):
    step = 1 if edge > 0 else -1
    assert await cache.incr("key", edge - step) == edge - step
    assert await cache.incr("key", step) == edge
    with pytest.raises(CounterOverflowError, match="64 bits"):
        await cache.incr("key", step)
    with pytest.raises(CounterOverflowError, match="64 bits"):
        await cache.decr("key", -step)
    assert await cache.get("key") == edge
    assert await cache.incr("key", -step) == edge - step


async def test_numbers_beyond_a_double_stay_exact(cache):
    assert await cache.incr("key", 2**53) == 2**53
    assert await cache.incr("key") == 2**53 + 1
    assert await cache.incr("key", 2**60 + 1) == 2**60 + 2**53 + 2
    assert await cache.get("key") == 2**60 + 2**53 + 2


async def test_the_whole_way_from_one_edge_to_the_other_is_two_steps(cache):
    assert await cache.incr("key", LEAST) == LEAST
    assert await cache.incr("key", MOST) == -1
    assert await cache.incr("key", MOST) == MOST - 1
    with pytest.raises(CounterOverflowError):
        await cache.decr("missing", LEAST)
    assert await cache.exists("missing") is False
    assert await cache.decr("missing", MOST) == -MOST


async def test_overflow_is_an_error_of_the_cache_and_of_python(cache):
    await cache.incr("key", MOST, 60)
    with pytest.raises(OverflowError) as caught:
        await cache.incr("key")
    assert isinstance(caught.value, CacheError)
    assert caught.value.operation == "incr"
    assert await cache.get("key") == MOST
    assert await cache.ttl("key") == 60


@pytest.mark.parametrize("operation", ["incr", "decr"])
@pytest.mark.parametrize("delta", [2**63, -(2**63) - 1, 10**400], ids=lambda d: str(d)[:12])
async def test_a_delta_beyond_64_bits_overflows(cache, operation, delta):
    with pytest.raises(CounterOverflowError, match="delta has more than 64 bits") as caught:
        await getattr(cache, operation)("key", delta)
    assert caught.value.operation == operation
    assert await cache.exists("key") is False


@pytest.mark.parametrize("operation", ["incr", "decr"])
@pytest.mark.parametrize("delta", [True, None, 1.0, "1", b"1", [1]], ids=repr)
async def test_a_delta_that_is_no_int_is_refused_by_its_type(cache, operation, delta):
    with pytest.raises(TypeError, match=f"delta must be an int, not {type(delta).__name__}"):
        await getattr(cache, operation)("key", delta)
    assert await cache.exists("key") is False


@pytest.mark.parametrize(
    "value",
    [True, False, 1.0, "1", b"1", None, [1], {}, object, Level.LOW],
    ids=lambda value: f"{type(value).__name__} {value}",
)
async def test_what_is_no_int_is_not_counted_and_not_touched(cache, column, value):
    if not column.keeps_objects and any(value is each for each in (object, Level.LOW)):
        with pytest.raises(SerializationError, match=type(value).__name__):
            await cache.set("key", value, 60)
        return
    await cache.set("key", value, 60)
    says = type(value).__name__ if column.keeps_objects else "not an integer|encrypted"
    for operation in ("incr", "decr"):
        with pytest.raises(TypeError, match=says) as caught:
            await getattr(cache, operation)("key")
        assert isinstance(caught.value, SerializationError)
        assert caught.value.operation == operation
    found = await cache.get("key")
    assert found == value and type(found) is type(value)
    assert found is value or not column.keeps_objects
    assert await cache.ttl("key") == 60


async def test_an_int_beyond_64_bits_is_not_counted_and_not_touched(cache, column):
    await cache.set("key", 2**63)
    kind = CounterOverflowError if column.keeps_objects else SerializationError
    with pytest.raises(kind, match="64 bits|not an int|encrypted"):
        await cache.incr("key", -1)
    assert await cache.get("key") == 2**63


async def test_a_counter_that_was_deleted_starts_anew(cache):
    await cache.incr("key", 7)
    await cache.delete("key")
    assert await cache.incr("key") == 1


async def test_many_callers_at_once_lose_no_step(cache, column):
    async def count():
        for _ in range(200):
            await cache.incr("key", 3)
            await cache.decr("key")

    await column.together(count, 16)
    assert await cache.get("key") == 16 * 200 * 2
