"""Random scenarios for random walks: three or four clients, two keys, two tags, every operation."""

from .scenarios import TROUBLES, Scenario, configured

_SIMPLE = ("delete", "incr", "expire", "refresh")
_VERBS = ("call", "call", "call", "set", "invalidate", "invalidate", "tag", "clear", *_SIMPLE)


def random_scenario(random):
    """A scenario that nobody thought of."""
    shape = [word for word in ("free", "pages") if random.random() < 0.3]
    shape += ["keys", random.choice(("tag", "both", "result", "mixed"))]
    budget = {name: random.choice((0, 1, 1, 3)) for name in TROUBLES}
    # A crash behind a forgotten script leaves an entry that is not counted: a known limit.
    budget["crash" if random.random() < 0.5 else "forget"] = 0
    count = random.randint(3, 4)
    joins = random.random() < 0.3
    verbs = [
        [random.choice(_VERBS) for _ in range(random.randint(1, 3))] for _ in range(count)
    ]
    if joins:
        verbs[1] = ["join" if verb == "call" else verb for verb in ["call", *verbs[1]]]
        verbs[0] = ["call"]
    # Tags are there whether or not entries have them from the beginning.
    programs = tuple(tuple(_operation(random, verb) for verb in program) for program in verbs)
    config = configured(shape, programs, budget)._replace(tags=(0, 1))
    return Scenario("random", config, (), programs, budget)


def _operation(random, verb):
    k = 0 if random.random() < 0.7 else 1
    if verb == "call":
        return (verb, k, random.choice(("value", "value", "value", "error", "nothing")))
    if verb == "join":
        return (verb, 0)
    if verb == "set":
        return (verb, k, random.choice(((), (0,), (0, 1))))
    if verb == "invalidate":
        return (verb, random.choice(((0,), (1,), (0, 1))))
    if verb == "tag":
        return (verb, k, random.choice(((0,), (1,))))
    return (verb,) if verb == "clear" else (verb, k)
