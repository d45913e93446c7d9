"""Tags: entries that leave together."""

import pytest


async def test_every_entry_with_a_tag_leaves_with_it_and_no_other(cache):
    await cache.set("a", 1, tags=["red"])
    await cache.set("b", 2, tags=["red", "blue"])
    await cache.set("c", 3, tags=["blue"])
    await cache.set("d", 4)
    assert await cache.invalidate_tags(["red"]) == 2
    assert await cache.get_many("abcd"[i] for i in range(4)) == {"c": 3, "d": 4}
    assert await cache.invalidate_tags(["red"]) == 0


async def test_an_entry_with_several_of_the_tags_is_counted_once(cache):
    await cache.set("a", 1, tags=["x", "y", "z"])
    await cache.set("b", 2, tags=["y"])
    assert await cache.invalidate_tags(["x", "y", "z", "x"]) == 2
    assert await cache.invalidate_tags([]) == 0


async def test_only_live_entries_are_counted(cache, column):
    await cache.set("short", 1, 1, tags=["tag"])
    await cache.set("long", 1, 10, tags=["tag"])
    await cache.set("deleted", 1, tags=["tag"])
    await cache.delete("deleted")
    column.advance(1)
    assert await cache.invalidate_tags(["tag"]) == 1


async def test_set_replaces_the_tags_with_the_value(cache):
    await cache.set("key", 1, tags=["old"])
    await cache.set("key", 2, tags=["new"])
    assert await cache.invalidate_tags(["old"]) == 0
    assert await cache.get("key") == 2
    assert await cache.invalidate_tags(["new"]) == 1
    await cache.set("key", 3, tags=["old"])
    await cache.set("key", 4)
    assert await cache.invalidate_tags(["old", "new"]) == 0
    assert await cache.get("key") == 4


async def test_add_tags_adds_to_what_is_there_and_creates_nothing(cache, column):
    assert await cache.add_tags("key", ["late"]) is False
    assert await cache.exists("key") is False
    await cache.set("key", 1, 60, tags=["early"])
    assert await cache.add_tags("key", ["late"]) is True
    assert await cache.add_tags(key="key", tags=["late", "early"]) is True
    assert await cache.ttl("key") == 60, "the life is kept"
    assert await cache.invalidate_tags(["late"]) == 1
    await cache.set("key", 1, 60, tags=["early"])
    await cache.add_tags("key", ["late"])
    assert await cache.invalidate_tags(["early"]) == 1
    await cache.set("key", 1, 1)
    column.advance(1)
    assert await cache.add_tags("key", ["late"]) is False


async def test_add_tags_with_none_of_them_changes_nothing(cache):
    await cache.set("key", 1, tags=["tag"])
    assert await cache.add_tags("key", []) is True
    assert await cache.invalidate_tags(["tag"]) == 1


async def test_an_entry_that_is_written_after_an_invalidation_stays(cache):
    await cache.set("key", 1, tags=["tag"])
    await cache.invalidate_tags(["tag"])
    await cache.set("key", 2, tags=["tag"])
    assert await cache.get("key") == 2
    assert await cache.invalidate_tags(["tag"]) == 1


async def test_tags_are_any_iterable_of_str(cache):
    class Name(str):
        pass

    for tags in (["t"], ("t",), {"t"}, frozenset("t"), {"t": 1}, iter(["t"]), (t for t in "t")):
        await cache.set("key", 1, tags=tags)
        assert await cache.invalidate_tags(iter([Name("t")])) == 1


async def test_tags_may_be_any_text(cache):
    for tag in ("\0", "a:b", "*", "~cachine~", " ", "ключ", "x" * 5000):
        await cache.set("key", 1, tags=[tag])
        assert await cache.invalidate_tags([tag]) == 1, tag


@pytest.mark.parametrize("tags", ["tag", b"tag"], ids=repr)
async def test_a_bare_string_is_refused_and_the_message_shows_the_cure(cache, tags):
    await cache.set("key", 1)
    for call in (
        cache.set("key", 2, tags=tags),
        cache.add_tags("key", tags),
        cache.invalidate_tags(tags),
        cache.get_or_set("other", 1, tags=tags),
    ):
        with pytest.raises(TypeError, match=f"iterable of str, not one {type(tags).__name__}"):
            await call
    assert await cache.get("key") == 1
    assert await cache.exists("other") is False


@pytest.mark.parametrize("tags", [1, 1.5, object(), True], ids=repr)
async def test_what_is_no_iterable_is_refused(cache, tags):
    await cache.set("key", 1)
    for call in (
        cache.set("key", 2, tags=tags),
        cache.add_tags("key", tags),
        cache.invalidate_tags(tags),
    ):
        with pytest.raises(TypeError, match="tags must be an iterable of str"):
            await call
    assert await cache.get("key") == 1
    for call in (cache.add_tags("key", None), cache.invalidate_tags(None)):
        with pytest.raises(TypeError, match="tags must be an iterable of str, not NoneType"):
            await call


@pytest.mark.parametrize("tag", [None, 1, b"tag", ["tag"]], ids=repr)
async def test_a_tag_of_another_type_is_refused(cache, tag):
    await cache.set("key", 1)
    for call in (
        cache.set("key", 2, tags=["fine", tag]),
        cache.add_tags("key", ["fine", tag]),
        cache.invalidate_tags(["fine", tag]),
    ):
        with pytest.raises(TypeError, match=f"a tag is a str, not {type(tag).__name__}"):
            await call
    assert await cache.get("key") == 1
    assert await cache.invalidate_tags(["fine"]) == 0


@pytest.mark.parametrize("tag", ["", "\ud800"], ids=repr)
async def test_a_string_that_can_be_no_tag_is_a_value_error(cache, tag):
    await cache.set("key", 1)
    for call in (
        cache.set("key", 2, tags=[tag]),
        cache.add_tags("key", [tag]),
        cache.invalidate_tags([tag]),
    ):
        with pytest.raises(ValueError, match="a tag"):
            await call
    assert await cache.get("key") == 1


async def test_what_an_iterable_of_tags_raises_goes_to_the_caller(cache):
    def tags():
        yield "one"
        raise ZeroDivisionError

    await cache.set("key", 1)
    for call in (
        cache.set("key", 2, tags=tags()),
        cache.add_tags("key", tags()),
        cache.invalidate_tags(tags()),
    ):
        with pytest.raises(ZeroDivisionError):
            await call
    assert await cache.get("key") == 1
    assert await cache.invalidate_tags(["one"]) == 0


async def test_a_counter_keeps_the_tags_that_it_was_given(cache):
    await cache.incr("counter", 5)
    assert await cache.add_tags("counter", ["tag"]) is True
    assert await cache.incr("counter") == 6
    assert await cache.invalidate_tags(["tag"]) == 1
    assert await cache.incr("counter") == 1
