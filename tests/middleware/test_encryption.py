"""Keys, their rotation, counters, and secrets that stay secret."""

import traceback
import warnings

import pytest
from cachine.exceptions import ConfigError, IntegrityError, SerializationError
from cachine.middleware import EncryptionMiddleware, MetricsMiddleware

from cachine import InMemoryCache, cached

SECRET = "a secret that nobody may see"


def test_every_write_is_encrypted_whatever_it_is():
    base = InMemoryCache()
    cache = EncryptionMiddleware(base, key=SECRET)
    needle = 987654321

    @cached(cache)
    def compute():
        return needle

    cache.set("set", needle)
    cache.set_many({"many": needle})
    cache.get_or_set("fill", lambda: needle)
    compute()
    for key in ("set", "many", "fill", compute.cache_key()):
        stored = base.get(key)
        assert type(stored) is bytes and str(needle).encode() not in stored
        assert cache.get(key) == needle


def test_two_writes_of_one_value_look_different():
    base = InMemoryCache()
    cache = EncryptionMiddleware(base, key=SECRET)
    seen = set()
    for _ in range(1000):
        cache.set("key", "value")
        seen.add(base.get("key"))
    assert len(seen) == 1000


def test_old_keys_are_read_and_the_new_one_written():
    base = InMemoryCache()
    EncryptionMiddleware(base, key="the first key of all", key_id="2024").set("a", [1])
    new = EncryptionMiddleware(
        base, key="the second key of all", key_id="2025", old_keys={"2024": "the first key of all"}
    )
    assert new.get("a") == [1]
    new.set("a", [2])
    only_new = EncryptionMiddleware(base, key="the second key of all", key_id="2025")
    assert only_new.get("a") == [2]
    EncryptionMiddleware(base, key="the first key of all", key_id="2024").set("b", [3])
    with pytest.raises(IntegrityError, match="2024.*old_keys"):
        only_new.get("b")
    wrong = EncryptionMiddleware(base, key="some other key of ours", key_id="2025")
    with pytest.raises(IntegrityError):
        wrong.get("a")


def test_counters_stay_readable_unless_they_are_refused():
    base = InMemoryCache()
    cache = EncryptionMiddleware(base, key=SECRET)
    assert cache.incr("n", 3) == 3 and cache.get("n") == 3 and base.get("n") == 3
    cache.set("encrypted", 5)
    with pytest.raises(SerializationError, match="encrypted"):
        cache.incr("encrypted")
    assert cache.get("encrypted") == 5
    strict = EncryptionMiddleware(base, key=SECRET, counters="refuse")
    with pytest.raises(ConfigError, match="refuse"):
        strict.incr("m")
    assert not base.exists("m")
    with pytest.raises(IntegrityError):
        strict.get("n")
    assert strict.get("encrypted") == 5


def test_an_object_that_stands_unencrypted_is_never_returned():
    base = InMemoryCache()
    cache = EncryptionMiddleware(base, key=SECRET)
    for planted in ("text", b"bytes", 2**64, True, 1.0, None, ["list"], b"5"):
        base.set("key", planted)
        if planted == b"5":
            continue  # A decimal is what a counter looks like.
        with pytest.raises(ValueError):
            cache.get("key")


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"key": ""}, ConfigError, "key"),
        ({"key": b"bytes"}, TypeError, "hex"),
        ({"key": None}, TypeError, "key"),
        ({"key": SECRET + "\ud800"}, ConfigError, "key has an unpaired surrogate"),
        ({"key": SECRET, "old_keys": {"a": SECRET + "\ud800"}}, ConfigError, "surrogate"),
        ({"key": SECRET, "key_id": "x\ud800"}, ConfigError, "key_id has an unpaired"),
        ({"key": SECRET, "key_id": ""}, ConfigError, "key_id"),
        ({"key": SECRET, "key_id": 1}, TypeError, "key_id"),
        ({"key": SECRET, "key_id": "x" * 256}, ConfigError, "key_id"),
        ({"key": SECRET, "counters": "maybe"}, ConfigError, "counters='maybe'"),
        ({"key": SECRET, "old_keys": {"v0": ""}}, ConfigError, r"old_keys\['v0'\] is empty"),
        ({"key": SECRET, "old_keys": ["v0"]}, TypeError, "old_keys must be a mapping"),
        ({"key": SECRET, "old_keys": {"v1": SECRET}}, ConfigError, "old_keys"),
        ({"key": SECRET, "old_keys": {"v0": 5}}, TypeError, "old_keys"),
    ],
    ids=ascii,
)
def test_wrong_options_are_refused_at_once(options, error, says):
    with pytest.raises(error, match=says) as raised:
        EncryptionMiddleware(InMemoryCache(), **options)
    assert SECRET not in str(raised.value) + repr(raised.value) + repr(vars(raised.value))
    assert raised.value.__cause__ is None


def test_a_short_key_is_taken_with_a_warning():
    with pytest.warns(UserWarning, match="generate_key") as warned:
        EncryptionMiddleware(InMemoryCache(), key="short")
    assert warned[0].filename == __file__
    assert "short" not in str(warned[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        EncryptionMiddleware(InMemoryCache(), key="x" * 16)


def test_a_generated_key_is_new_each_time_and_long():
    keys = {EncryptionMiddleware.generate_key() for _ in range(100)}
    assert len(keys) == 100 and min(map(len, keys)) >= 43
    cache = EncryptionMiddleware(InMemoryCache(), keys.pop())
    cache.set("a", 1)
    assert cache.get("a") == 1


def test_no_secret_is_in_a_repr_an_error_or_an_attribute():
    base = InMemoryCache()
    cache = MetricsMiddleware(EncryptionMiddleware(base, key=SECRET, old_keys={"v0": SECRET[::-1]}))
    base.set("key", b"\xc1garbage")
    texts = [repr(cache), repr(vars(cache)), repr(cache.get_stats())]
    for value in (b"\xc1garbage", b"plain", "text"):
        base.set("key", value)
        try:
            cache.get("key")
        except ValueError as error:
            texts += [str(error), repr(error), "".join(traceback.format_exception(None, error, None))]
    try:
        cache.set("key", {"password": object(), "hunter2": "hunter2"})
    except TypeError as error:
        texts.append(str(error))
    for text in texts:
        for secret in (SECRET, SECRET[::-1], "hunter2", "garbage"):
            assert secret not in text
