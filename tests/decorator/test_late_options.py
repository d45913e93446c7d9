"""Options that can't work are refused where they are given, not when they would first matter."""

from __future__ import annotations

import pytest
from cachine import InMemoryCache, cached
from cachine.exceptions import ConfigError


def test_a_negative_jitter_is_refused():
    with pytest.raises(ConfigError, match="jitter=-1 is negative"):
        cached(InMemoryCache(), ttl=5, jitter=-1)


def test_an_empty_template_is_refused_at_decoration():
    with pytest.raises(ConfigError, match="empty template"):
        cached(InMemoryCache(), key_builder="")(lambda x: x)


def test_get_or_set_refuses_an_unknown_option_on_a_hit_too():
    cache = InMemoryCache()
    cache.set("key", 1)
    with pytest.raises(TypeError, match="unexpected option 'foo'"):
        cache.get_or_set("key", 2, foo=1)
    assert cache.get("key") == 1
