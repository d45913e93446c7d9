"""Step 1, Step 2 and the bounded cache of the specification, typed in as printed."""

# ruff: noqa


def test_step_1_your_first_cache(capsys, clock):
    from cachine import InMemoryCache

    # Create a cache
    cache = InMemoryCache()

    # Store a value (expires after 60 seconds)
    cache.set("user:123", {"name": "Alice", "role": "admin"}, ttl=60)

    # Retrieve it
    user = cache.get("user:123")
    print(user)

    # Check if it exists
    if cache.exists("user:123"):
        print("User is cached!")

    # Remove it
    cache.delete("user:123")

    assert capsys.readouterr().out == "{'name': 'Alice', 'role': 'admin'}\nUser is cached!\n"
    assert not cache.exists("user:123")
    cache.set("user:123", {"name": "Alice", "role": "admin"}, ttl=60)
    clock.advance(59.999)
    assert cache.get("user:123") == {"name": "Alice", "role": "admin"}
    clock.advance(0.001)
    assert cache.get("user:123") is None


def test_step_2_cache_expensive_functions(capsys, clock, monkeypatch):
    from cachine import InMemoryCache, cached
    import time

    # Nobody waits in a test; what is slow says that it was.
    monkeypatch.setattr(time, "sleep", lambda seconds: print(f"({seconds} seconds)"))

    cache = InMemoryCache()

    @cached(cache=cache, ttl=60)
    def expensive_computation(x):
        print(f"Computing {x}...")
        time.sleep(2)  # Simulate slow operation
        return x * 2

    # First call: takes 2 seconds
    result = expensive_computation(21)  # Prints "Computing 21..." and waits
    # => 42
    assert result == 42
    assert capsys.readouterr().out == "Computing 21...\n(2 seconds)\n"

    # Subsequent calls: instant! (returns from cache)
    result = expensive_computation(21)  # Returns immediately
    # => 42 (no print, no wait)
    assert result == 42
    assert capsys.readouterr().out == ""

    clock.advance(60)
    assert expensive_computation(21) == 42
    assert capsys.readouterr().out == "Computing 21...\n(2 seconds)\n"


def test_the_example_of_an_in_memory_cache(clock):
    from cachine import InMemoryCache
    from cachine.strategies import LRUEviction

    cache = InMemoryCache(
        max_size=10000,                 # Limit to 10k entries
        eviction_policy=LRUEviction(),  # Evict least-recently-used
        namespace="myapp"               # Prefix all keys
    )

    cache.set("key", "value", ttl=300)

    assert cache.get("key") == "value"
    assert cache.ttl("key") == 300
    for number in range(9999):
        cache.set(str(number), number)
    cache.get("key")
    cache.set("one more", 1)
    assert len(cache) == 10_000
    assert cache.get("key") == "value"
    assert cache.get("0") is None
    clock.advance(300)
    assert cache.get("key") is None


def test_what_is_caching():
    from cachine import InMemoryCache, cached

    queries = []

    class database:
        def query(text):
            queries.append(text)
            return {"id": 1}

    cache = InMemoryCache()

    @cached(cache, ttl=300)
    def get_user(user_id):
        return database.query(f"SELECT * FROM users WHERE id={user_id}")  # 50ms first time, <1ms after

    assert get_user(1) == get_user(1) == {"id": 1}
    assert queries == ["SELECT * FROM users WHERE id=1"]


def test_namespaces_of_the_performance_tips(clock):
    from cachine import InMemoryCache

    # Development
    dev_cache = InMemoryCache(namespace="dev")

    # Easy to clear: cache.clear() only affects your namespace
    dev_cache.set("key", 1)
    dev_cache.clear()
    assert not dev_cache.exists("key")


def test_cache_not_clearing():
    import pytest

    from cachine import InMemoryCache

    # Requires namespace OR dangerously_clear_all=True
    cache = InMemoryCache(namespace="myapp")
    cache.set("key", 1)
    cache.clear()  # Works
    assert not cache.exists("key")

    cache = InMemoryCache()  # No namespace
    cache.set("key", 1)
    with pytest.raises(ValueError):
        cache.clear()  # Raises error (safety check)
    assert cache.exists("key")
    cache.clear(dangerously_clear_all=True)  # Works but clears EVERYTHING
    assert not cache.exists("key")
