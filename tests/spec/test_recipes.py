"""Rate limiting, tags and the health check of the specification, typed in as printed."""

# ruff: noqa

import pytest

from cachine import InMemoryCache, cached


def test_rate_limiting_with_counters(clock):
    cache = InMemoryCache()

    from datetime import timedelta

    def check_rate_limit(user_id: str, max_requests: int = 100):
        key = f"ratelimit:{user_id}"

        # Increment counter, set TTL on first request
        count = cache.incr(key, delta=1, ttl_on_create=60)

        if count > max_requests:
            raise Exception(f"Rate limit exceeded: {count}/{max_requests}")

        return count

    # Allow 100 requests per minute per user
    check_rate_limit("user123", max_requests=100)

    for number in range(2, 101):
        clock.advance(0.5)
        assert check_rate_limit("user123", max_requests=100) == number
    with pytest.raises(Exception, match="Rate limit exceeded: 101/100"):
        check_rate_limit("user123", max_requests=100)
    assert check_rate_limit("user456") == 1
    clock.advance(60 - 99 * 0.5)
    assert check_rate_limit("user123", max_requests=100) == 1, "a new minute"
    assert cache.incr("by timedelta", ttl_on_create=timedelta(minutes=1)) == 1
    assert cache.ttl("by timedelta") == 60


def test_tag_based_invalidation():
    cache = InMemoryCache()
    fetched = []

    def fetch_from_db(user_id):
        fetched.append(("user", user_id))
        return {"id": user_id}

    def fetch_orders_from_db(user_id):
        fetched.append(("orders", user_id))
        return [1, 2]

    @cached(
        cache=cache,
        ttl=3600,
        tags=lambda user_id: ["users", f"user:{user_id}"]
    )
    def get_user(user_id):
        return fetch_from_db(user_id)

    @cached(
        cache=cache,
        ttl=3600,
        tags=lambda user_id: ["users", f"user:{user_id}"]
    )
    def get_user_orders(user_id):
        return fetch_orders_from_db(user_id)

    # Both functions tagged with "users" and "user:123"
    user = get_user(123)
    orders = get_user_orders(123)

    get_user(7)

    # Invalidate ALL user-related cache at once
    removed = cache.invalidate_tags(["user:123"])
    # Both get_user(123) and get_user_orders(123) are now cleared

    assert (user, orders) == ({"id": 123}, [1, 2])
    assert removed == 2
    fetched.clear()
    get_user(7)
    assert fetched == []
    get_user(123)
    get_user_orders(123)
    assert fetched == [("user", 123), ("orders", 123)]
    assert cache.invalidate_tags(["users"]) == 3


def test_caching_database_queries():
    from cachine import InMemoryCache

    cache = InMemoryCache()

    class User:
        id = 123

        def to_dict(self):
            return {"id": self.id}

    class Session:
        def query(self, kind):
            queries.append(kind)
            return self

        def filter_by(self, id):
            self.found = User() if id == 123 else None
            return self

        def first(self):
            return self.found

    queries, get_db = [], Session

    @cached(cache=cache, ttl=3600, tags=lambda user_id: [f"user:{user_id}"])
    def get_user_profile(user_id: int):
        db: Session = get_db()
        user = db.query(User).filter_by(id=user_id).first()
        return user.to_dict() if user else None

    # Cache for 1 hour, invalidate with tags
    profile = get_user_profile(123)

    # When user updates, invalidate their cache
    cache.invalidate_tags(["user:123"])

    assert profile == {"id": 123}
    assert get_user_profile(123) == get_user_profile(123) == {"id": 123}
    assert len(queries) == 2
    assert get_user_profile(5) is get_user_profile(5) is None
    assert len(queries) == 4, "None is not stored"


def test_the_health_check_of_the_troubleshooting(capsys):
    cache = InMemoryCache()

    # Test connection
    if cache.ping_ok():
        print("Connected")
    else:
        print("Cannot connect")

    # Full health check
    health = cache.ping()
    print(health)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Connected"
    shown = eval(lines[1])
    assert shown["healthy"] is True
    assert shown["backend"] == "inmemory"
    assert list(shown) == ["healthy", "latency_ms", "backend"]
