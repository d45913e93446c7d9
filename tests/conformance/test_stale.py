"""Stale values: served at once, computed anew beside the caller, gone at the end of their age.

::

    write            60              120
      |--- fresh -----|--- stale -----|--- gone
"""

import pytest

TERMS = {"ttl": 60, "stale_ttl": 120}


class Source:
    """A factory that counts its calls and can be stopped at a gate."""

    def __init__(self, column):
        self.calls = 0
        self.ended = 0
        self.gate = None
        self.error = None
        self.next = None
        self.factory = column.factory(self.compute)

    async def compute(self):
        self.calls += 1
        number = self.calls
        if self.gate is not None:
            await self.gate.passed()
        self.ended += 1
        if self.error is not None:
            raise self.error
        return self.next if self.next is not None else number


@pytest.fixture
def source(column):
    """A factory for the key of the test."""
    return Source(column)


async def test_the_timeline_of_a_value(cache, column, source, eventually):
    ask = lambda: cache.get_or_set("key", source.factory, **TERMS)  # noqa: E731
    assert await ask() == 1
    column.advance(60 - column.moment)
    assert await ask() == 1
    assert source.calls == 1, "fresh"
    column.advance(column.moment)
    assert await ask() == 1, "stale, and answered at once"
    await eventually(lambda: _is(cache, 2), "the refreshed value is stored")
    assert source.calls == 2
    column.advance(60 - column.moment)
    assert await ask() == 2, "fresh again, from the refresh on"
    column.advance(60 + column.moment)
    assert await ask() == 3, "120 seconds after its write it is gone: this caller computes"
    assert source.calls == 3


async def _is(cache, value):
    return await cache.get("key") == value


async def test_any_number_of_stale_hits_start_one_refresh(cache, column, source, eventually):
    await cache.get_or_set("key", source.factory, **TERMS)
    column.advance(60)
    source.gate = column.gate()
    for _ in range(20):
        assert await cache.get_or_set("key", source.factory, **TERMS) == 1
    await eventually(lambda: source.calls == 2, "the refresh has begun")
    assert await cache.get_or_set("key", source.factory, **TERMS) == 1
    assert source.calls == 2
    source.gate.open()
    await eventually(lambda: _is(cache, 2), "the refreshed value is stored")


async def test_a_stale_value_is_an_entry_for_every_operation(cache, column, source):
    await cache.get_or_set("key", source.factory, tags=["tag"], **TERMS)
    assert await cache.ttl("key") == 120
    column.advance(90)
    assert await cache.get("key") == 1
    assert await cache.exists("key") is True
    assert await cache.ttl("key") == 30
    assert await cache.get_many(["key"]) == {"key": 1}
    assert await cache.touch("key") is True
    assert await cache.add_tags("key", ["other"]) is True
    assert source.calls == 1, "only get_or_set refreshes"
    column.advance(30 - column.moment)
    assert await cache.get("key") == 1
    column.advance(column.moment)
    assert await cache.get("key") is None
    assert await cache.exists("key") is False


@pytest.mark.parametrize("how", ["expire", "expire_at", "touch", "persist"])
async def test_a_new_life_ends_the_stale_window(cache, column, source, how):
    import time

    await cache.get_or_set("key", source.factory, **TERMS)
    column.advance(90)
    change = {
        "expire": lambda: cache.expire("key", 50),
        "expire_at": lambda: cache.expire_at("key", time.time() + 50),
        "touch": lambda: cache.touch("key", 50),
        "persist": lambda: cache.persist("key"),
    }
    assert await change[how]() is True
    column.advance(40)
    assert await cache.get_or_set("key", source.factory, **TERMS) == 1
    assert source.calls == 1, "fresh to its end"
    column.advance(20)
    expected = 1 if how == "persist" else 2
    assert await cache.get_or_set("key", source.factory, **TERMS) == expected
    assert source.calls == expected


@pytest.mark.parametrize("stale", [60, 30, 0, -1])
async def test_a_stale_time_no_longer_than_the_life_leaves_no_window(cache, column, source, stale):
    terms = {"ttl": 60, "stale_ttl": stale}
    await cache.get_or_set("key", source.factory, **terms)
    assert await cache.ttl("key") == 60
    column.advance(60)
    assert await cache.get_or_set("key", source.factory, **terms) == 2


async def test_a_value_that_is_only_ever_stale_is_refreshed_with_every_use(
    cache, column, source, eventually
):
    terms = {"ttl": 0, "stale_ttl": 60}
    assert await cache.get_or_set("key", source.factory, **terms) == 1
    assert await cache.ttl("key") == 60
    assert await cache.get_or_set("key", source.factory, **terms) == 1
    await eventually(lambda: _is(cache, 2), "the refreshed value is stored")


async def test_a_refresh_that_fails_leaves_the_stale_value_and_backs_off(
    cache, column, source, eventually
):
    ask = lambda: cache.get_or_set("key", source.factory, **TERMS)  # noqa: E731
    await ask()
    column.advance(60)
    source.error = ValueError("down")
    calls = 1
    for pause in (0.5, 1, 2, 4, 8, 16):
        assert await ask() == 1
        calls += 1
        await eventually(lambda: source.ended == calls, "the refresh has ended")
        await eventually(column.is_idle, "the failure has been noted")
        column.advance(pause - 0.001)
        assert await ask() == 1
        assert source.calls == calls, f"it waits for {pause} seconds"
        column.advance(0.001)
    source.error = None
    assert await ask() == 1
    await eventually(lambda: _is(cache, calls + 1), "it has recovered")


@pytest.mark.parametrize("refused", ["none", "condition"])
async def test_a_refresh_with_nothing_to_store_leaves_the_stale_value(
    cache, column, source, eventually, refused
):
    options = dict(TERMS)
    if refused == "condition":
        options["condition"] = lambda result: result == 1
    await cache.get_or_set("key", source.factory, **options)
    column.advance(60)
    if refused == "none":
        source.factory = column.factory(_nothing(source))
    assert await cache.get_or_set("key", source.factory, **options) == 1
    await eventually(lambda: source.ended == 2, "the refresh has ended")
    assert await cache.get_or_set("key", source.factory, **options) == 1
    assert source.calls == 2
    column.advance(60 - column.moment)
    assert await cache.get("key") == 1
    column.advance(column.moment)
    assert await cache.get("key") is None


def _nothing(source):
    async def compute():
        source.calls += 1
        source.ended += 1

    return compute


async def test_a_change_during_a_refresh_is_not_overwritten_by_it(
    cache, column, source, eventually
):
    await cache.get_or_set("key", source.factory, **TERMS)
    column.advance(60)
    source.gate = column.gate()
    await cache.get_or_set("key", source.factory, **TERMS)
    await eventually(lambda: source.calls == 2, "the refresh has begun")
    await cache.set("key", "newer")
    source.gate.open()
    await eventually(lambda: source.ended == 2, "the refresh has ended")
    for _ in range(100):
        assert await cache.get("key") == "newer"
        await column.turn()


async def test_jitter_lengthens_every_life_by_its_own_part_of_it(cache, column):
    for number in range(300):
        await cache.get_or_set(f"key:{number}", 1, 10, jitter=10)
    keys = [f"key:{number}" for number in range(300)]
    column.advance(10 - column.moment)
    assert len(await cache.get_many(keys)) == 300, "never less than the ttl"
    left = []
    for _ in range(10):
        column.advance(1)
        left.append(len(await cache.get_many(keys)))
    column.advance(column.moment)
    assert await cache.get_many(keys) == {}, "never more than ttl and jitter"
    gone = [before - after for before, after in zip([300, *left], left)]
    assert min(gone) > 5, f"spread over the whole of it: {gone}"


async def test_jitter_shifts_the_end_of_the_stale_window_too(cache):
    lives = set()
    for number in range(100):
        await cache.get_or_set(f"key:{number}", 1, 10, stale_ttl=20, jitter=10)
        lives.add(await cache.ttl(f"key:{number}"))
    assert lives <= set(range(20, 31))
    assert len(lives) > 5


async def test_a_jitter_below_a_second_is_one(cache, column):
    for number in range(50):
        await cache.get_or_set(f"key:{number}", 1, 1, jitter=0.5)
    column.advance(1.5)
    assert await cache.get_many(f"key:{number}" for number in range(50)) == {}
