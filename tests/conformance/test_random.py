"""Random operations against a naive model: a dictionary that looks at every entry."""

import random

import pytest

STEPS = 400
KEYS = ("a", "b", "c", "n:a", "n:b", "n:m:a")
TAGS = ("x", "y", "z")
TIMES = (None, 0, 0.5, 1, 3, 10)


class Entry:
    def __init__(self, value, end, tags):
        self.value, self.end, self.tags = value, end, set(tags)


class Naive:
    """What the operations mean, without any regard to time or memory."""

    def __init__(self):
        self.now = 0.0
        self.entries = {}

    def find(self, key):
        entry = self.entries.get(key)
        return entry if entry and (entry.end is None or entry.end > self.now) else None

    def until(self, ttl):
        return None if ttl is None else self.now + ttl

    def get(self, key, default=None):
        entry = self.find(key)
        return entry.value if entry else default

    def set(self, key, value, ttl=None, tags=()):
        self.entries[key] = Entry(value, self.until(ttl), tags)

    def delete(self, key):
        found = self.find(key) is not None
        self.entries.pop(key, None)
        return found

    def exists(self, key):
        return self.find(key) is not None

    def ttl(self, key):
        entry = self.find(key)
        return None if entry is None or entry.end is None else -int(-(entry.end - self.now) // 1)

    def expire(self, key, ttl):
        entry = self.find(key)
        if entry:
            entry.end = self.until(ttl)
        return entry is not None

    def persist(self, key):
        entry = self.find(key)
        had_end = entry is not None and entry.end is not None
        if had_end:
            entry.end = None
        return had_end

    def touch(self, key, ttl=None):
        return self.exists(key) if ttl is None else self.expire(key, ttl)

    def incr(self, key, delta=1, ttl_on_create=None):
        entry = self.find(key)
        if entry is None:
            self.set(key, 0, ttl_on_create)
            entry = self.entries[key]
        if type(entry.value) is not int:
            return TypeError
        entry.value += delta
        return entry.value

    def add_tags(self, key, tags):
        entry = self.find(key)
        if entry:
            entry.tags.update(tags)
        return entry is not None

    def invalidate_tags(self, tags):
        hit = [key for key, entry in self.entries.items() if entry.tags & set(tags)]
        return sum(self.delete(key) for key in hit)

    def get_or_set(self, key, value, ttl=None):
        entry = self.find(key)
        if entry is None:
            self.set(key, value, ttl)
            return value
        return entry.value

    def get_many(self, keys):
        return {key: self.get(key) for key in keys if self.exists(key)}

    def set_many(self, mapping, ttl=None):
        for key, value in mapping.items():
            self.set(key, value, ttl)

    def delete_many(self, keys):
        return sum(self.delete(key) for key in set(keys))


def operation(choose, number):
    """The name of an operation, and arguments for it."""
    key, ttl = choose.choice(KEYS), choose.choice(TIMES)
    tags = choose.sample(TAGS, choose.randrange(3))
    keys = [choose.choice(KEYS) for _ in range(choose.randrange(4))]
    value = choose.choice([number(choose.randrange(100)), "text", 1.5])
    return choose.choice(
        [
            ("get", (key,), {}),
            ("get", (key, "default"), {}),
            ("set", (key, value, ttl), {"tags": tags}),
            ("set", (key, value), {}),
            ("delete", (key,), {}),
            ("exists", (key,), {}),
            ("ttl", (key,), {}),
            ("expire", (key, ttl or 0), {}),
            ("persist", (key,), {}),
            ("touch", (key, ttl), {}),
            ("incr", (key, choose.randrange(-5, 6), ttl), {}),
            ("add_tags", (key, tags), {}),
            ("invalidate_tags", (tags,), {}),
            ("get_or_set", (key, value, ttl), {}),
            ("get_many", (keys,), {}),
            ("set_many", (dict.fromkeys(keys, value), ttl), {}),
            ("delete_many", (keys,), {}),
        ]
    )


@pytest.mark.parametrize("seed", range(25))
async def test_a_cache_does_what_a_naive_model_says(cache, column, seed):
    choose, model = random.Random(seed), Naive()
    done = []
    for _ in range(STEPS):
        if choose.randrange(4) == 0:
            wait = choose.choice([0.25, 0.5, 1, 2.5])
            done.append(f"advance {wait}")
            column.advance(wait)
            model.now += wait
        # An int that can't be counted on from is no int to the model.
        name, arguments, named = operation(choose, int if column.counts_what_was_set else float)
        done.append(f"{name}{arguments} {named}")
        expected = getattr(model, name)(*arguments, **named)
        if expected is TypeError:
            with pytest.raises(TypeError):
                await getattr(cache, name)(*arguments, **named)
        else:
            found = await getattr(cache, name)(*arguments, **named)
            assert found == expected, "\n".join(done)
            assert type(found) is type(expected)
    assert await cache.get_many(KEYS) == model.get_many(KEYS)


@pytest.mark.parametrize("seed", range(5))
async def test_views_and_the_whole_see_the_same_entries(cache, column, seed):
    choose = random.Random(seed)
    model = Naive()
    views = {"": cache, "n:": cache.with_namespace("n"), "n:m:": cache.with_namespace("n:m")}
    for _ in range(STEPS):
        prefix = choose.choice(list(views))
        key = choose.choice("abc")
        if choose.randrange(40) == 0 and prefix:
            await views[prefix].clear()
            for known in [known for known in model.entries if known.startswith(prefix)]:
                model.delete(known)
        elif choose.randrange(2):
            value = choose.randrange(100)
            await views[prefix].set(key, value)
            model.set(prefix + key, value)
        else:
            assert await views[prefix].get(key) == model.get(prefix + key)
        assert await cache.get(prefix + key) == model.get(prefix + key)
