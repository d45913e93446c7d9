"""A user with the rights that the guide names: enough for everything, and for nothing else."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from servers import Server

from cachine.exceptions import CacheError, ResponseError

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "redis.md"

#: The commands stand in the guide between these two lines, each with a plus before it.
BEGIN, END = "<!-- acl: begin -->", "<!-- acl: end -->"


def commands():
    """The rules of the guide: ``+get``, ``+client|setname``."""
    assert GUIDE.exists(), f"{GUIDE} does not list the commands that a user needs"
    text = GUIDE.read_text(encoding="utf-8")
    is_marked = text.count(BEGIN) == text.count(END) == 1
    assert is_marked, f"{GUIDE} has no list between {BEGIN} and {END}"
    found = re.findall(r"(?<!\S)\+[a-z0-9_|-]+", text.partition(BEGIN)[2].partition(END)[0])
    assert found, f"there is no command in the list of {GUIDE}"
    assert len(found) == len(set(found)), f"a command is twice in the list of {GUIDE}"
    return found


@pytest.fixture(scope="module")
def server():
    """A server with the user of the guide, ``app``."""
    rules = f"app on >secret resetchannels ~ns:* -@all {' '.join(commands())}"
    with Server(users=[rules]) as started:
        yield started


@pytest.fixture
def cache(door, server):
    server.command("FLUSHALL")
    # As on a server that has just started: the scripts have to be brought.
    server.command("SCRIPT", "FLUSH")
    return door.make(server.port, username="app", password="secret", timeout=10)


def everything(door, cache):
    """Every operation there is, each way that it can go."""
    tomorrow = datetime.now() + timedelta(days=1)
    cache.set("key", "value")
    cache.set("key", ["value"], 60, tags=["tag", "other"])
    assert cache.get("key") == ["value"] and cache.get("none") is None
    assert cache.exists("key") and cache.ttl("key") == 60
    assert cache.expire("key", 100) and cache.expire_at("key", tomorrow)
    assert cache.touch("key") and cache.touch("key", 60)
    assert cache.add_tags("key", ["more"]) and cache.persist("key")
    assert cache.incr("count") == 1 and cache.incr("count", 5) == 6 and cache.decr("count") == 5
    assert cache.incr("created", ttl_on_create=60) == 1
    cache.set("tagged count", 7, tags=["tag"])
    assert cache.incr("tagged count") == 8
    assert cache.invalidate_tags(["tag"]) == 2 and cache.invalidate_tags(["tag"]) == 0
    cache.set_many({"a": 1, "b": 2}, 60)
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": 2}
    assert cache.delete_many(["a", "b", "c"]) == 2
    assert cache.get_or_set("computed", lambda: 1, 60, tags=["tag"], stale_ttl=120) == 1
    assert cache.delete("computed") and not cache.delete("computed")
    assert cache.expire("count", 0) and not cache.exists("count")
    assert cache.ping()["healthy"] and cache.ping_ok()
    functions(door, cache)
    cache.set("left", 1, tags=["tag"])
    cache.clear()
    assert not cache.exists("left")


def functions(door, cache):
    """The decorator, with all that it does on a server."""
    options = {"ttl": 60, "stale_ttl": 120, "singleflight": True}

    @door.cached(cache, tags=lambda x: ["function"], **options)
    def tagged(x):
        return [x]

    @door.cached(cache, tags_from_result=lambda result: ["late"], **options)
    def tagged_late(x):
        return [x]

    @door.cached(cache, condition=lambda result: False, **options)
    def refused(x):
        return [x]

    for function in (tagged, tagged_late, refused):
        assert function(1) == function(1) == [1]
        assert function.cache_info().errors == 0
    assert cache.invalidate_tags(["function", "late"]) == 2


def locked(cache):
    """The lock, whichever door it is of."""
    lock = cache.lock("name", ttl=5, timeout=5)
    if not hasattr(lock, "__aenter__"):
        with lock:
            return

    async def main():
        async with lock:
            pass

    cache.loop.run_until_complete(main())


def test_the_user_of_the_guide_can_do_everything(door, cache, server, lines):
    server.command("ACL", "LOG", "RESET")
    everything(door, cache)
    if hasattr(cache, "lock"):
        locked(cache)
    assert server.command("ACL", "LOG") == [], "nothing was even tried in vain"
    assert lines() == []


def test_the_user_of_the_guide_is_refused_everywhere_else(door, cache, server):
    server.command("SET", "other:key", '"theirs"')
    server.command("SET", "nsx:key", '"theirs"')
    for namespace in ("other", "nsx", None):
        other = door.make(
            server.port, namespace=namespace, username="app", password="secret", timeout=10
        )
        for call in (
            lambda other=other: other.get("key"),
            lambda other=other: other.set("key", 1),
            lambda other=other: other.set("key", 1, 60, tags=["tag"]),
            lambda other=other: other.incr("count"),
            lambda other=other: other.delete("key"),
            lambda other=other: other.invalidate_tags(["tag"]),
        ):
            with pytest.raises(ResponseError, match="NOPERM"):
                call()
    assert server.keys() == ["nsx:key", "other:key"]


def test_no_command_of_the_guide_is_one_too_many(door, cache, server):
    """Without any one of them something fails: what can be left out is a right too many."""
    too_many = []
    for command in commands():
        server.command("FLUSHALL")
        server.command("SCRIPT", "FLUSH")
        server.command("ACL", "SETUSER", "app", "-" + command[1:])
        fresh = door.make(server.port, username="app", password="secret", timeout=10)
        try:
            everything(door, fresh)
            if hasattr(fresh, "lock"):
                locked(fresh)
            too_many.append(command)
        except (CacheError, AssertionError):
            pass
        finally:
            server.command("ACL", "SETUSER", "app", command)
    assert too_many == []


def test_a_child_namespace_is_within_reach(cache):
    child = cache.with_namespace("child")
    child.set("key", "value", tags=["tag"])
    assert child.get("key") == "value" and child.invalidate_tags(["tag"]) == 1
