"""Namespaces: views on one store, each with keys of its own."""

import pytest

from cachine.exceptions import ClosedError, ConfigError


async def test_a_namespace_goes_before_every_key_with_a_colon(column):
    root = column.make()
    view = root.with_namespace("a")
    await view.set("key", 1)
    assert await root.get("a:key") == 1
    await root.set("a:other", 2)
    assert await view.get("other") == 2
    assert await view.get("a:other") is None
    assert view.namespace == "a"
    assert root.namespace is None


async def test_a_view_inside_a_view_is_its_child(column):
    root = column.make()
    child = root.with_namespace("a").with_namespace("b")
    assert child.namespace == "a:b"
    await child.set("key", 1)
    assert await root.get("a:b:key") == 1
    assert await root.with_namespace("a:b").get("key") == 1, "the same by another way"
    assert await root.with_namespace("a").get("b:key") == 1


async def test_equal_keys_in_two_namespaces_are_two_entries(column):
    root = column.make()
    views = [root, root.with_namespace("a"), root.with_namespace("b"), root.with_namespace("a:b")]
    for number, view in enumerate(views):
        await view.set("key", number)
        await view.incr("counter", number + 1)
    assert [await view.get("key") for view in views] == [0, 1, 2, 3]
    assert [await view.incr("counter") for view in views] == [2, 3, 4, 5]
    assert await views[1].delete("key") is True
    assert [await view.exists("key") for view in views] == [True, False, True, True]


async def test_every_operation_stays_in_its_namespace(column):
    root = column.make()
    view = root.with_namespace("a")
    await root.set("key", "root", 60)
    await view.set("key", "view", 60)
    await view.expire("key", 10)
    assert (await root.ttl("key"), await view.ttl("key")) == (60, 10)
    await view.persist("key")
    assert (await root.ttl("key"), await view.ttl("key")) == (60, None)
    await view.touch("key", 5)
    assert (await root.ttl("key"), await view.ttl("key")) == (60, 5)
    await view.set_many({"x": 1, "y": 2})
    assert await view.get_many(["x", "y", "key"]) == {"x": 1, "y": 2, "key": "view"}
    assert await root.get_many(["x", "y", "key"]) == {"key": "root"}
    assert await root.delete_many(["x", "y"]) == 0
    assert await view.delete_many(["x", "y"]) == 2
    assert await view.get_or_set("key", "other") == "view"


async def test_tags_belong_to_the_namespace_of_the_view(column):
    root = column.make()
    one, other, child = (root.with_namespace(name) for name in ("a", "b", "a:b"))
    for view in (root, one, other, child):
        await view.set("key", 1, tags=["tag"])
    assert await one.invalidate_tags(["tag"]) == 1
    assert [await view.exists("key") for view in (root, one, other, child)] == [
        True,
        False,
        True,
        True,
    ]
    assert await root.invalidate_tags(["a:tag", "b:tag", "tag"]) == 1


async def test_clear_with_a_namespace_takes_its_entries_and_those_of_its_children(column):
    root = column.make()
    for key in ("a:x", "a:b:x", "a:b:c:x", "a", "ab:x", "b:x", "x"):
        await root.set(key, 1)
    view = root.with_namespace("a")
    assert await view.clear() is None
    left = await root.get_many(["a:x", "a:b:x", "a:b:c:x", "a", "ab:x", "b:x", "x"])
    assert list(left) == ["a", "ab:x", "b:x", "x"]
    await view.set("x", 1)
    await view.clear(dangerously_clear_all=True)
    assert await root.exists("a:x") is False
    assert await root.exists("x") is True, "a view never clears more than its own"


@pytest.mark.parametrize("namespace", ["*", "a?", "[ab]", "a\\", "a*", "%", "_", "{a}", " ", "\0"])
async def test_a_namespace_is_text_and_no_pattern(column, namespace):
    root = column.make()
    await root.set("ab:x", 1)
    view = root.with_namespace(namespace)
    await view.set("x", 2)
    await view.clear()
    assert await view.exists("x") is False
    assert await root.get("ab:x") == 1


async def test_clear_without_a_namespace_is_refused_and_removes_nothing(cache):
    await cache.set("key", 1)
    with pytest.raises(ConfigError, match="dangerously_clear_all=True") as caught:
        await cache.clear()
    assert isinstance(caught.value, ValueError)
    assert caught.value.operation == "clear"
    with pytest.raises(ConfigError):
        await cache.clear(dangerously_clear_all=False)
    with pytest.raises(TypeError):
        await cache.clear(True)
    assert await cache.get("key") == 1
    await cache.clear(dangerously_clear_all=True)
    assert await cache.exists("key") is False


async def test_a_cache_that_was_made_with_a_namespace_clears_without_a_flag(column):
    cache = column.make(namespace="myapp")
    assert cache.namespace == "myapp"
    await cache.set("key", 1, tags=["tag"])
    await cache.clear()
    assert await cache.exists("key") is False
    assert await cache.invalidate_tags(["tag"]) == 0


async def test_an_empty_namespace_is_none_for_a_cache_and_refused_for_a_view(column):
    cache = column.make(namespace="")
    assert cache.namespace is None
    with pytest.raises(ConfigError):
        await cache.clear()
    with pytest.raises(ConfigError, match="at least one character"):
        cache.with_namespace("")


@pytest.mark.parametrize("namespace", ["~cachine~", "a:~cachine~b", "\ud800"], ids=repr)
async def test_a_namespace_that_can_be_none_says_why(column, namespace):
    with pytest.raises(ConfigError, match="namespace"):
        column.make(namespace=namespace)
    with pytest.raises(ConfigError, match="namespace"):
        column.make().with_namespace(namespace)


@pytest.mark.parametrize("namespace", [1, b"a", ["a"], True], ids=repr)
async def test_a_namespace_of_another_type_is_refused(column, namespace):
    message = f"namespace must be a str.*, not {type(namespace).__name__}"
    with pytest.raises(TypeError, match=message):
        column.make(namespace=namespace)
    with pytest.raises(TypeError, match=message):
        column.make().with_namespace(namespace)
    with pytest.raises(TypeError, match="namespace must be a str, not NoneType"):
        column.make().with_namespace(None)


async def test_closing_a_view_leaves_the_store_open(column):
    root = column.make()
    view, other = root.with_namespace("a"), root.with_namespace("a")
    await view.set("key", 1)
    await view.close()
    with pytest.raises(ClosedError):
        await view.get("key")
    assert await other.get("key") == 1
    assert await root.get("a:key") == 1


async def test_closing_the_cache_closes_its_views(column):
    root = column.make()
    view = root.with_namespace("a")
    child = view.with_namespace("b")
    await root.close()
    for each in (view, child):
        with pytest.raises(ClosedError):
            await each.get("key")


async def test_a_view_counts_for_itself(column):
    root = column.make()
    view = root.with_namespace("a")
    await view.set("key", 1)
    await view.get("key")
    assert (view.get_stats()["hits"], view.get_stats()["sets"]) == (1, 1)
    assert (root.get_stats()["hits"], root.get_stats()["sets"]) == (0, 0)
