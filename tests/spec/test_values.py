"""Middleware and serializers of the specification, typed in as printed, over the memory cache."""

# ruff: noqa

import json
import pickle

import pytest


def test_track_cache_performance():
    from cachine import InMemoryCache
    from cachine.middleware import MetricsMiddleware

    base = InMemoryCache()
    cache = MetricsMiddleware(base)

    # Use cache normally
    cache.set("key1", "value1")
    cache.get("key1")
    cache.get("key2")  # Miss

    # Check performance
    stats = cache.get_stats()

    latency = stats["avg_latency_ms"]
    assert {name: stats[name] for name in ("hits", "misses", "hit_rate", "errors")} == {
        "hits": 1,
        "misses": 1,
        "hit_rate": 0.5,
        "errors": 0,
    }
    assert 0 < latency < 1000


def test_compress_large_values():
    from cachine import InMemoryCache
    from cachine.serializers import JSONSerializer

    from cachine.middleware import CompressionMiddleware

    base = InMemoryCache()
    cache = CompressionMiddleware(
        base,
        algorithm="gzip",  # or "zlib"
        min_size=1024      # Only compress values > 1KB
    )

    # Large values automatically compressed
    large_json = {"data": "x" * 10000}
    cache.set("big_data", large_json, serializer=JSONSerializer())

    # Automatically decompressed on get
    result = cache.get("big_data", serializer=JSONSerializer())

    assert result == large_json
    assert len(base.get("big_data")) < 200


def test_encrypt_sensitive_data():
    from cachine import InMemoryCache

    from cachine.middleware import EncryptionMiddleware

    base = InMemoryCache()
    cache = EncryptionMiddleware(
        base,
        key="your-32-character-secret-key!!",  # Keep this secret!
        key_id="v1"  # For key rotation
    )

    # Data encrypted at rest
    cache.set("user_ssn", "123-45-6789")
    cache.set("api_key", "secret-api-key-xyz")

    # Automatically decrypted on get
    ssn = cache.get("user_ssn")  # "123-45-6789"

    assert ssn == "123-45-6789"
    assert b"6789" not in base.get("user_ssn")
    assert cache.get("api_key") == "secret-api-key-xyz"


def test_stack_multiple_middleware(capsys):
    from cachine import InMemoryCache

    from cachine.middleware import CompressionMiddleware, EncryptionMiddleware, MetricsMiddleware
    from cachine.serializers import JSONSerializer

    # Layer 1: Base cache
    base = InMemoryCache(namespace="secure")

    # Layer 2: Compress (first, before encryption)
    cache = CompressionMiddleware(base, algorithm="gzip", min_size=128)

    # Layer 3: Encrypt (second, encrypts compressed data)
    cache = EncryptionMiddleware(cache, key="your-secret-key-here!!", key_id="v1")

    # Layer 4: Metrics (outer layer, tracks everything)
    cache = MetricsMiddleware(cache)

    # Now you have: Metrics → Encryption → Compression → InMemory
    # Data flow on SET: value → compress → encrypt → store
    # Data flow on GET: fetch → decrypt → decompress → return

    cache.set("sensitive_data", {"secret": "data"}, serializer=JSONSerializer())
    value = cache.get("sensitive_data", serializer=JSONSerializer())
    print(cache.get_stats())  # See metrics

    assert value == {"secret": "data"}
    assert "'hits': 1" in capsys.readouterr().out
    assert b"secret" not in base.get("sensitive_data")
    cache.set("much", {"text": "a" * 100_000}, serializer=JSONSerializer())
    assert len(base.get("much")) < 1_000, "compressed before it was encrypted"
    assert cache.get("much", serializer=JSONSerializer()) == {"text": "a" * 100_000}


def test_same_serializer_for_get_and_set():
    from cachine import InMemoryCache
    from cachine.exceptions import DeserializationError
    from cachine.serializers import JSONSerializer, PickleSerializer

    cache = InMemoryCache()
    data = {"a": 1, "b": [2, 3]}

    # Wrong: Different serializers
    cache.set("key", data, serializer=JSONSerializer())
    with pytest.raises(DeserializationError) as raised:
        result = cache.get("key", serializer=PickleSerializer())  # Error!
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value.__cause__, pickle.UnpicklingError)

    cache.set("key", data, serializer=PickleSerializer())
    with pytest.raises(DeserializationError):
        cache.get("key", serializer=JSONSerializer())

    # Correct: Same serializer
    cache.set("key", data, serializer=JSONSerializer())
    result = cache.get("key", serializer=JSONSerializer())
    assert result == data
    assert json.loads(cache.get("key")) == data, "the base cache shows the stored bytes"


def test_serializers_keep_what_the_table_says():
    from datetime import datetime, timezone

    from cachine import InMemoryCache
    from cachine.serializers import JSONSerializer, MsgPackSerializer, PickleSerializer

    any_python_object = {1, 2, frozenset("x")}

    cache = InMemoryCache(serializer=JSONSerializer())
    cache.set("data", {"a": 1, "b": [2, 3]})
    assert cache.get("data") == {"a": 1, "b": [2, 3]}
    cache = InMemoryCache(serializer=MsgPackSerializer())
    cache.set("data", {"complex": "object", "raw": b"\0", "at": datetime.now(timezone.utc)})
    assert type(cache.get("data")["at"]) is datetime
    cache = InMemoryCache(serializer=PickleSerializer())
    cache.set("data", any_python_object)
    assert cache.get("data") == any_python_object


def test_compress_only_large_data():
    from cachine import InMemoryCache
    from cachine.middleware import CompressionMiddleware

    base_cache = InMemoryCache()

    cache = CompressionMiddleware(
        base_cache,
        algorithm="gzip",
        min_size=1024  # Only compress > 1KB (avoid overhead on small values)
    )

    cache.set("small", "x" * 1000)
    cache.set("large", "x" * 2000)
    assert len(base_cache.get("small")) == 1002
    assert len(base_cache.get("large")) < 100
