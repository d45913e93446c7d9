"""A child process neither waits for nor ends what its parent computes."""

from __future__ import annotations

from .test_exit import HEAD, REFRESH, WAITS

FORK = (
    HEAD
    + REFRESH
    + """
def computing():
    inside.set()
    release.wait(20)
    return "parent"

start()
inside, release = threading.Event(), threading.Event()
other = InMemoryCache()
leader = threading.Thread(target=lambda: other.get_or_set("k", computing), daemon=True)
leader.start()
inside.wait(20)
child = os.fork()
if child == 0:
    # Neither the computation nor the refreshes of the parent exist here, and nobody waits for them.
    assert other.get_or_set("k", lambda: "child") == "child"
    state.clear()
    assert f(1) == 1
    for _ in range(10000):
        if f._decorated.cache.ttl(f.cache_key(1)) == 1000:
            break
        f(1)
        clock.advance(0.01)
        time.sleep(0.001)
    else:
        os._exit(3)
    os._exit(0)
_, status = os.waitpid(child, 0)
release.set()
leader.join(20)
assert other.get("k") == "parent"
print("done", status)
"""
)


def test_a_child_process_neither_waits_for_nor_ends_what_its_parent_computes(script):
    text = FORK.format(wait=WAITS["asleep"])
    assert script(text, options=["-W", "ignore", "script.py"]) == "done 0\n"


FORK_INSIDE = (
    HEAD
    + """
cache = InMemoryCache()

@cached(cache, singleflight=True)
def f(x):
    child = os.fork()
    if child == 0:
        return "child"
    _, status = os.waitpid(child, 0)
    return "parent", status

answer = f(1)
if answer == "child":
    # The computation was begun before the fork; here it is over, and the next one begins.
    assert cached(InMemoryCache())(lambda: 1)() == 1
    assert cache.get_or_set("k", lambda: 2) == 2
    os._exit(0)
print(*answer, cache.get(f.cache_key(1)))
"""
)


def test_a_function_that_forks_returns_twice(script):
    expected = "parent 0 ('parent', 0)\n"
    assert script(FORK_INSIDE) == expected
