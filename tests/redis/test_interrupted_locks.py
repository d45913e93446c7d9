"""A signal may strike between any two steps of entering and leaving a lock: nobody waits for ever."""

import logging
import sys
import threading

import pytest

from cachine import InMemoryCache, RedisCache


class Struck(BaseException):
    """What the handler of a signal raised."""


class Strike:
    """Raises once, at the given one of the places where the interpreter looks for signals."""

    def __init__(self, place):
        self.left = place
        self.has_struck = False

    def __enter__(self):
        sys.setprofile(self.look)

    def __exit__(self, *_):
        sys.setprofile(None)

    def look(self, frame, event, _):
        # Signals are handled when a function begins and when one of C has returned.
        if event not in ("call", "c_return") or "/cachine/" not in frame.f_code.co_filename:
            return
        self.left -= 1
        if self.left < 0 and not self.has_struck:
            self.has_struck = True
            sys.setprofile(None)
            raise Struck


def is_free(cache):
    """Whether another thread gets the lock, and this one too."""
    entered = []

    def enter():
        with cache.lock("name", timeout=10):
            entered.append(threading.get_ident())

    other = threading.Thread(target=enter)
    other.start()
    other.join()
    enter()
    return len(entered) == 2


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_a_lock_that_lives_on_is_free_whenever_a_signal_strikes(kind, own_redis):
    logging.getLogger("cachine").disabled = True
    try:
        if kind == "memory":
            cache = InMemoryCache()
        else:
            cache = RedisCache("127.0.0.1", own_redis.port, namespace="ns")
        assert is_free(cache)
        place = 0
        while True:
            # As one at module level: the collector does not end its use.
            lock, strike = cache.lock("name"), Strike(place)
            try:
                with strike, lock:
                    pass
            except Struck:
                assert is_free(cache), f"struck at place {place}"
            if not strike.has_struck:
                break
            place += 1
        assert place > 30, "it did look"
        cache.close()
    finally:
        logging.getLogger("cachine").disabled = False
