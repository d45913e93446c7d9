"""Whatever a server does: the right error in time, never another's reply, never counted twice."""

from __future__ import annotations

import traceback

import pytest
import sick
from doors import SLACK, TIMEOUT, eventually, within
from servers import Server, free_port

from cachine.exceptions import (
    CacheConnectionError,
    CacheError,
    CacheTimeoutError,
    ConfigError,
    ResponseError,
)


def frozen():
    """A server that is well and has been stopped by a signal."""
    server = Server()
    server.freeze()
    return server


def replying(error, greeting=False):
    return lambda: sick.replying(error, greeting)


#: Each sick server, and what calls raise.
SICK = {
    "refusing": (sick.refusing, CacheConnectionError),
    "closing": (sick.closing, CacheConnectionError),
    "half a reply": (sick.half_reply, CacheConnectionError),
    "garbage": (sick.garbage, CacheConnectionError),
    "http": (sick.http, CacheConnectionError),
    "loading": (replying(sick.LOADING), CacheConnectionError),
    "loading at once": (replying(sick.LOADING, greeting=True), CacheConnectionError),
    "blackhole": (sick.blackhole, CacheTimeoutError),
    "silent": (sick.silent, CacheTimeoutError),
    "dripping": (lambda: sick.dripping(b"$40\r\n" + b"x" * 40 + b"\r\n"), CacheTimeoutError),
    "frozen": (frozen, CacheTimeoutError),
    "out of memory": (replying(sick.OUT_OF_MEMORY), ResponseError),
    "read only": (replying(sick.READ_ONLY), ResponseError),
    "wrong type": (replying(sick.WRONG_TYPE), ResponseError),
    "no password": (replying(sick.NO_AUTHENTICATION), ResponseError),
    "no password at once": (replying(sick.NO_AUTHENTICATION, greeting=True), ResponseError),
}

CALLS = {
    "get": lambda cache: cache.get("key"),
    "set": lambda cache: cache.set("key", [1], 60),
    "incr": lambda cache: cache.incr("key"),
    "delete": lambda cache: cache.delete("key"),
}

#: The rest: they take the same way, which two servers are enough to show.
MORE = {
    "set with tags": lambda cache: cache.set("key", [1], 60, tags=["tag"]),
    "decr": lambda cache: cache.decr("key", ttl_on_create=60),
    "exists": lambda cache: cache.exists("key"),
    "ttl": lambda cache: cache.ttl("key"),
    "expire": lambda cache: cache.expire("key", 60),
    "expire_at": lambda cache: cache.expire_at("key", 4_000_000_000),
    "persist": lambda cache: cache.persist("key"),
    "touch": lambda cache: cache.touch("key", 60),
    "add_tags": lambda cache: cache.add_tags("key", ["tag"]),
    "invalidate_tags": lambda cache: cache.invalidate_tags(["tag"]),
    "get_many": lambda cache: cache.get_many(["key", "other"]),
    "set_many": lambda cache: cache.set_many({"key": [1], "other": [2]}, 60),
    "delete_many": lambda cache: cache.delete_many(["key", "other"]),
    "clear": lambda cache: cache.clear(),
}


@pytest.fixture(params=SICK)
def trouble(request):
    """A sick server, and what calls raise."""
    make, error = SICK[request.param]
    with make() as server:
        yield server, error


def test_calls_raise_the_right_error_in_time(door, trouble):
    server, expected = trouble
    cache = door.make(server.port)
    for operation, call in CALLS.items():
        with within(TIMEOUT + SLACK), pytest.raises(expected) as caught:
            call(cache)
        assert caught.value.operation == operation
        assert str(caught.value)


@pytest.mark.parametrize("operation", MORE)
def test_every_other_operation_raises_it_too(door, operation):
    with sick.refusing() as server, within(SLACK), pytest.raises(CacheConnectionError) as caught:
        MORE[operation](door.make(server.port))
    assert caught.value.operation == operation.split()[0]


@pytest.mark.parametrize("operation", ["set with tags", "add_tags", "get_many"])
def test_an_operation_of_several_steps_has_one_deadline(door, redis_server, operation):
    with sick.Proxy(redis_server.port) as proxy:
        cache = door.make(proxy.port, namespace="steps")
        cache.set("key", [1], 60, tags=["tag"])
        proxy.delay = 0.8 * TIMEOUT
        with within(TIMEOUT + SLACK):
            try:
                MORE[operation](cache)
            except CacheTimeoutError:
                pass


def test_a_ping_never_raises(door, trouble):
    server, _ = trouble
    cache = door.make(server.port)
    with within(TIMEOUT + SLACK):
        answer = cache.ping()
    assert answer["healthy"] is False and answer["backend"] == "redis"
    assert isinstance(answer["error"], str) and answer["error"]
    assert isinstance(answer["latency_ms"], float)
    with within(TIMEOUT + SLACK):
        assert cache.ping_ok() is False


def test_a_name_that_nobody_knows_is_no_connection(door):
    cache = door.make(free_port(), host="no-such-host.invalid")
    with within(TIMEOUT + SLACK), pytest.raises((CacheConnectionError, CacheTimeoutError)):
        cache.get("key")
    assert cache.ping_ok() is False


#: A record of TLS that is well formed, and longer than anybody waits.
HANDSHAKE = b"\x16\x03\x03\x00\x40\x02\x00\x00\x3c" + b"\x00" * 60


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (sick.silent, CacheTimeoutError),
        (lambda: sick.dripping(HANDSHAKE), CacheTimeoutError),
        (sick.http, CacheConnectionError),
        (sick.closing, CacheConnectionError),
    ],
    ids=["silent", "dripping", "http", "closing"],
)
def test_a_handshake_is_no_way_around_the_deadline(door, make, expected):
    with make() as server:
        cache = door.make(server.port, ssl=True)
        with within(TIMEOUT + SLACK), pytest.raises(expected):
            cache.get("key")


def test_a_server_that_freezes_under_a_connection_is_noticed_and_forgiven(door, own_redis):
    cache = door.make(own_redis.port)
    cache.set("key", "value")
    own_redis.freeze()
    for call in CALLS.values():
        with within(TIMEOUT + SLACK), pytest.raises(CacheTimeoutError):
            call(cache)
    own_redis.thaw()
    cache.set("key", "new")
    assert cache.get("key") == "new"


def test_a_late_reply_never_answers_the_next_call(door, redis_server):
    with sick.Proxy(redis_server.port) as proxy:
        cache = door.make(proxy.port, namespace="late")
        cache.set_many({"a": "value of a", "b": "value of b"})
        for _ in range(5):
            proxy.delay = 2 * TIMEOUT
            with within(TIMEOUT + SLACK), pytest.raises(CacheTimeoutError):
                cache.get("a")
            proxy.delay = 0.0
            assert cache.get("b") == "value of b"
            assert cache.get("a") == "value of a"


def test_half_a_reply_never_becomes_a_part_of_the_next_one(door, redis_server):
    with sick.Proxy(redis_server.port) as proxy:
        cache = door.make(proxy.port, namespace="half")
        cache.set_many({"a": ["a"] * 1000, "b": ["b"] * 1000})
        for _ in range(5):
            proxy.cut("half:a")
            try:
                found = cache.get("a")
            except CacheConnectionError:
                pass
            else:
                assert found == ["a"] * 1000, "it may ask again"
            assert cache.get("b") == ["b"] * 1000
        assert proxy.spoiled == 5


@pytest.mark.parametrize("options", [{}, {"ttl_on_create": 60}], ids=["plain", "with a ttl"])
def test_a_count_whose_reply_was_lost_raises_and_is_counted_once(door, redis_server, options):
    key = f"count:{type(door).__name__}:{len(options)}"
    redis_server.command("DEL", key, "count:warm")
    with sick.Proxy(redis_server.port) as proxy:
        cache = door.make(proxy.port, namespace="count")
        # The connection and the script are there: what is lost is the reply to the count.
        cache.incr("warm", 1, **options)
        proxy.swallow(key)
        with within(TIMEOUT + SLACK), pytest.raises(CacheTimeoutError):
            cache.incr(key.partition(":")[2], 1, **options)
        assert redis_server.command("GET", key) == b"1" and proxy.spoiled == 1
        proxy.cut(key)
        with within(TIMEOUT + SLACK), pytest.raises(CacheConnectionError):
            cache.incr(key.partition(":")[2], 1, **options)
        assert redis_server.command("GET", key) == b"2" and proxy.spoiled == 2
        assert cache.incr(key.partition(":")[2], 1, **options) == 3


def test_what_may_be_done_twice_is_asked_again_when_the_connection_breaks(door, redis_server):
    with sick.Proxy(redis_server.port) as proxy:
        cache = door.make(proxy.port, namespace="again")
        cache.set("key", "value")
        proxy.cut("again:key")
        assert cache.get("key") == "value"
        proxy.cut("again:key")
        cache.set("key", "new")
        assert redis_server.command("GET", "again:key") == b'"new"'
        assert proxy.spoiled == 2


@pytest.mark.parametrize("how", ["closed by the server", "server restarted", "proxy closed"])
def test_a_connection_that_was_closed_while_idle_is_replaced_unnoticed(door, own_redis, how):
    with sick.Proxy(own_redis.port) as proxy:
        close = {
            "closed by the server": own_redis.disconnect,
            "server restarted": own_redis.restart,
            "proxy closed": proxy.close_connections,
        }[how]
        cache = door.make(proxy.port if how == "proxy closed" else own_redis.port)
        is_kept = how != "server restarted"
        calls = {
            lambda: cache.get("key", "none"): "value" if is_kept else "none",
            lambda: cache.incr("count"): 2 if is_kept else 1,
            lambda: cache.set("key", "new"): None,
            lambda: cache.delete("key"): is_kept,
        }
        for call, expected in calls.items():
            cache.set("key", "value")
            cache.set("count", 1)
            close()
            door.turn()
            assert call() == expected


def test_what_a_real_server_refuses_is_told_in_its_words(door, own_redis):
    cache = door.make(own_redis.port)
    own_redis.command("RPUSH", "ns:list", "1")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        cache.get("list")
    own_redis.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(ResponseError, match="OOM"):
        cache.set("key", "value")
    assert cache.get("key") is None, "reading goes on"
    own_redis.command("CONFIG", "SET", "maxmemory", "0")
    cache.set("key", "value")
    own_redis.command("REPLICAOF", "127.0.0.1", free_port())
    with pytest.raises(ResponseError, match="READONLY"):
        cache.set("key", "new")
    assert cache.get("key") == "value"
    own_redis.command("REPLICAOF", "NO", "ONE")
    cache.set("key", "new")
    assert cache.get("key") == "new"


def counted(door, cache, **options):
    """A cached function, and the calls that it got."""
    calls = []

    @door.cached(cache, ttl=60, **options)
    def function(x):
        calls.append(x)
        return [x]

    return function, calls


@pytest.mark.parametrize("options", [{}, {"singleflight": True}], ids=["alone", "singleflight"])
def test_a_cached_function_answers_and_costs_nothing_while_the_server_is_away(
    door, own_redis, lines, options
):
    cache = door.make(own_redis.port)
    function, calls = counted(door, cache, **options)
    assert function(1) == function(1) == [1] and calls == [1]

    def is_used():
        function(1)
        before = len(calls)
        function(1)
        return len(calls) == before

    own_redis.freeze()
    with within(TIMEOUT + SLACK):
        assert function(1) == [1]
    # The first call has told: the server is not asked each time.
    with within(0.05):
        assert [function(x) for x in range(50)] == [[x] for x in range(50)]
    (line,) = lines()
    assert line.startswith("the cache failed in")
    assert function.cache_info().errors >= 51
    own_redis.thaw()
    eventually(is_used, "the cache is used again")

    own_redis.kill()
    with within(TIMEOUT + SLACK):
        assert function(2) == [2]
    with within(0.05):
        assert [function(x) for x in range(50)] == [[x] for x in range(50)]
    own_redis.restart()
    eventually(is_used, "the cache is used again")


def test_a_cached_function_answers_whatever_the_server_says(door, trouble, lines):
    server, _ = trouble
    function, calls = counted(door, door.make(server.port))
    with within(2 * (TIMEOUT + SLACK)):
        assert function(1) == [1]
    assert calls == [1] and function.cache_info().errors >= 1
    (line,) = lines()
    assert line.startswith("the cache failed in")


def test_a_direct_call_asks_the_server_whatever_was_before(door, own_redis):
    cache = door.make(own_redis.port)
    function, _ = counted(door, cache)
    own_redis.kill()
    for x in range(20):
        function(x)
    with pytest.raises(CacheConnectionError):
        cache.get("key")
    own_redis.restart()
    cache.set("key", "value")
    assert cache.get("key") == "value"


def everything_said(error):
    """All that a report of an error shows, its causes included."""
    report = traceback.format_exception(type(error), error, error.__traceback__)
    return "".join(report) + repr(error)


def test_a_password_is_in_no_text_at_all(door, redis_secured, lines):
    secret = "wr0ng-passw0rd"
    texts = []
    for options in ({"password": secret}, {"username": "app", "password": secret}):
        cache = door.make(redis_secured.port, **options)
        function, _ = counted(door, cache)
        texts.append(repr(cache))
        for call in CALLS.values():
            with pytest.raises(ResponseError, match="WRONGPASS") as caught:
                call(cache)
            texts.append(everything_said(caught.value))
        assert function(1) == [1]
        texts += [str(cache.ping()), repr(cache.with_namespace("other")), *lines()]
    right = door.make(redis_secured.port, password=redis_secured.password)
    right.set("key", "value")
    texts.append(repr(right))
    assert len(lines()) >= 1
    for text in texts:
        assert secret not in text and redis_secured.password not in text


def test_a_password_in_an_address_is_in_no_text_either(door, redis_secured):
    kind = door.cache_class
    cache = door.taken(kind(url=redis_secured.url, namespace="address", timeout=TIMEOUT))
    cache.set("key", "value")
    assert cache.get("key") == "value"
    assert redis_secured.password not in repr(cache)
    secret = "s3cret-of-mine"
    wrong = door.taken(kind(url=f"redis://app:{secret}@127.0.0.1:{redis_secured.port}/0"))
    with pytest.raises(ResponseError) as caught:
        wrong.get("key")
    assert secret not in everything_said(caught.value) + repr(wrong)
    for broken in (f"redis://app:{secret}@127.0.0.1:port/0", f"http://app:{secret}@127.0.0.1/"):
        with pytest.raises(ConfigError) as caught:
            kind(url=broken)
        assert secret not in str(caught.value)


def test_a_certificate_that_is_not_trusted_is_refused(door, redis_tls):
    trusting = door.make(redis_tls.port, ssl=True, ssl_ca_certs=redis_tls.ca_certs, timeout=5)
    trusting.set("key", "value")
    assert trusting.get("key") == "value"
    with Server(tls=True) as other:
        for options in ({}, {"ssl_ca_certs": other.ca_certs}):
            cache = door.make(redis_tls.port, ssl=True, timeout=5, **options)
            with pytest.raises(CacheConnectionError):
                cache.get("key")
    in_the_clear = door.make(redis_tls.port)
    with pytest.raises(CacheError):
        in_the_clear.get("key")


def test_a_sick_server_costs_a_closed_cache_nothing(door):
    with sick.silent() as server:
        cache = door.make(server.port)
        with pytest.raises(CacheTimeoutError):
            cache.get("key")
        with within(SLACK):
            cache.close()
            cache.close()
        door.turn()
        eventually(lambda: server.open_connections == 0, "its connections are closed")
