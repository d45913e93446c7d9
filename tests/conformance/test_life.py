"""Asking for the life of an entry, and changing it."""

import math
import time
from datetime import date, datetime, timedelta, timezone

import pytest


@pytest.mark.parametrize(
    ("life", "shown"),
    [(60, 60), (59.5, 60), (0.5, 1), (0.999, 1), (1, 1), (1.5, 2), (None, None)],
)
async def test_ttl_is_whole_seconds_rounded_up(cache, life, shown):
    await cache.set("key", 1, life)
    left = await cache.ttl("key")
    assert left == shown
    assert left is None or type(left) is int


async def test_ttl_counts_down_and_is_none_after_the_end(cache, column):
    await cache.set("key", 1, 3)
    seen = []
    for _ in range(4):
        seen.append(await cache.ttl("key"))
        column.advance(1)
    assert seen == [3, 2, 1, None]


async def test_expire_gives_a_fresh_life_and_tells_whether_there_was_an_entry(cache, column):
    assert await cache.expire("key", 10) is False
    assert await cache.exists("key") is False, "expire creates nothing"
    await cache.set("key", "value", 10)
    column.advance(9)
    assert await cache.expire("key", 10) is True
    column.advance(9)
    assert await cache.get("key") == "value"
    column.advance(1)
    assert await cache.get("key") is None
    assert await cache.expire("key", 10) is False


async def test_expire_gives_an_end_to_what_had_none(cache, column):
    await cache.set("key", "value")
    assert await cache.expire(key="key", ttl=timedelta(seconds=5)) is True
    assert await cache.ttl("key") == 5
    column.advance(5)
    assert await cache.exists("key") is False


async def test_expire_may_shorten_a_life_and_a_negative_one_deletes(cache, column):
    await cache.set("key", "value", 1000)
    assert await cache.expire("key", 1) is True
    column.advance(1)
    assert await cache.exists("key") is False
    await cache.set("key", "value", 1000)
    assert await cache.expire("key", -1) is True
    assert await cache.expire("key", -1) is False
    assert await cache.exists("key") is False


@pytest.mark.parametrize(
    "when",
    [
        lambda: time.time() + 30,
        lambda: int(time.time()) + 30,
        lambda: datetime.now() + timedelta(seconds=30),
        lambda: datetime.now(timezone.utc) + timedelta(seconds=30),
        lambda: datetime.now(timezone(timedelta(hours=-7))) + timedelta(seconds=30),
    ],
    ids=["float", "int", "naive", "UTC", "UTC-7"],
)
async def test_expire_at_takes_posix_seconds_and_datetimes(cache, column, when):
    assert await cache.expire_at("key", when()) is False
    await cache.set("key", "value")
    assert await cache.expire_at("key", when()) is True
    assert 28 <= await cache.ttl("key") <= 30
    column.advance(28)
    assert await cache.exists("key") is True
    column.advance(2)
    assert await cache.exists("key") is False


async def test_expire_at_reads_a_naive_datetime_as_local_time(cache, monkeypatch):
    for zone in ("XXX-09:30", "XXX+08"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        await cache.set("key", "value")
        assert await cache.expire_at("key", when=datetime.now() + timedelta(seconds=30)) is True
        assert 28 <= await cache.ttl("key") <= 30
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "when",
    [
        0,
        -1,
        -1e300,
        -math.inf,
        -(10**400),
        1.5,
        datetime(1970, 1, 1),
        datetime(2000, 1, 1, tzinfo=timezone.utc),
        datetime.min,
        datetime.min.replace(tzinfo=timezone.utc),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    ],
    ids=lambda when: str(when)[:32],
)
async def test_a_time_in_the_past_deletes(cache, when):
    await cache.set("key", "value")
    assert await cache.expire_at("key", when) is True
    assert await cache.exists("key") is False
    assert await cache.expire_at("key", when) is False


@pytest.mark.parametrize(
    "when",
    [
        1e300,
        math.inf,
        10**400,
        datetime.max,
        datetime.max.replace(tzinfo=timezone.utc),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
    ],
    ids=lambda when: str(when)[:32],
)
async def test_a_time_far_away_is_as_long_as_can_be(cache, when, monkeypatch):
    for zone in ("UTC", "XXX-14", "XXX+12"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        await cache.set("key", "value")
        assert await cache.expire_at("key", when) is True
        assert await cache.ttl("key") > 50 * 365 * 86_400
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("when", "error"),
    [
        (None, TypeError),
        (True, TypeError),
        ("2030-01-01", TypeError),
        (timedelta(seconds=5), TypeError),
        (date(2030, 1, 1), TypeError),
        (math.nan, ValueError),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_what_is_no_point_in_time_is_refused_and_changes_nothing(cache, when, error):
    await cache.set("key", "value", 60)
    with pytest.raises(error, match="when"):
        await cache.expire_at("key", when)
    assert await cache.ttl("key") == 60


async def test_persist_takes_the_end_away(cache, column):
    assert await cache.persist("key") is False
    await cache.set("key", "value", 10)
    assert await cache.persist(key="key") is True
    assert await cache.persist("key") is False, "there was no end any more"
    assert await cache.ttl("key") is None
    column.advance(10_000)
    assert await cache.get("key") == "value"
    await cache.set("key", "value", 10)
    column.advance(10)
    assert await cache.persist("key") is False, "too late"
    assert await cache.exists("key") is False


async def test_touch_tells_whether_there_is_an_entry_and_keeps_its_life(cache, column):
    assert await cache.touch("key") is False
    assert await cache.touch("key", 10) is False
    assert await cache.exists("key") is False, "touch creates nothing"
    await cache.set("key", "value", 10)
    column.advance(4)
    assert await cache.touch("key") is True
    assert await cache.ttl("key") == 6
    assert await cache.touch("key", None) is True
    assert await cache.ttl("key") == 6
    column.advance(6)
    assert await cache.touch("key") is False


async def test_touch_with_a_time_gives_a_fresh_life(cache, column):
    await cache.set("key", "value", 10)
    column.advance(9)
    assert await cache.touch(key="key", ttl=10) is True
    column.advance(9)
    assert await cache.get("key") == "value"
    assert await cache.touch("key", 0) is True
    assert await cache.exists("key") is False
