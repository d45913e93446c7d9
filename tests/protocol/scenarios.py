"""Reads ``scenarios.txt``: who does what at the same time, and which trouble there is.

``call a``, ``fail a``, ``none a``
    A cached call whose own computation would give a value, an error, nothing that is stored.
``join a``
    A call in the process of the first client.
``refresh a``
    A computation that is asked for whatever stands.
``set a``, ``set a untagged``, ``incr a``, ``delete a``, ``expire a``, ``tag a u``
    The operations on one entry; ``expire`` gives a longer life.
``invalidate t``, ``invalidate t u``, ``clear``
    The others.
``tag``, ``both``, ``result``, ``mixed``
    The tags of the entries: t; t and u (b: t); t from the result; t, and u from the result.
``free``, ``keys``, ``pages``
    Without singleflight; the entry b is there, too; an index is read member by member.
``crash=1``, ``drop=1``, ``age=1``, ``time=1``, ``giveup=1``, ``forget=1``
    How often a client may die, a key vanish, an entry become stale, time pass, a waiter lose
    patience, the server forget a script.
"""

from collections import namedtuple
from pathlib import Path

from .records import FRESH, WITHOUT

#: What a scenario may have of each trouble.
TROUBLES = ("crash", "drop", "age", "time", "giveup", "forget")

#: What the operations have to know. ``arguments`` and ``results`` are the tags of each key,
#: ``process`` the clients whose calls join each other.
Config = namedtuple(
    "Config",
    "arguments results tags keys singleflight page ages new_age process is_cluster",
)
#: ``setup`` is done first, by one client; then each of ``programs`` by a client of its own.
Scenario = namedtuple("Scenario", "name config setup programs budget")

KEYS, TAGS = {"a": 0, "b": 1}, {"t": 0, "u": 1}
SHAPES = {
    "tag": {"arguments": ((0,), (0,)), "tags": (0,)},
    "both": {"arguments": ((0, 1), (0,)), "tags": (0, 1)},
    "result": {"results": ((0,), (0,)), "tags": (0,)},
    "mixed": {"arguments": ((0,), ()), "results": ((1,), ()), "tags": (0, 1)},
    "free": {"singleflight": False},
    "keys": {"keys": (0, 1)},
    "pages": {"page": 1},
}
_OUTCOMES = {"call": "value", "fail": "error", "none": "nothing"}


def read():
    """Every scenario of the file, by name."""
    lines = (Path(__file__).parent / "scenarios.txt").read_text().splitlines()
    found = [parse(line) for line in lines if line.strip() and not line.startswith("#")]
    scenarios = {scenario.name: scenario for scenario in found}
    assert len(scenarios) == len(found), "two scenarios have one name"
    return scenarios


def parse(line):
    """The scenario in a line: name | setup / programs | shape and trouble."""
    name, doing, words = (part.strip() for part in line.split("|"))
    shape, budget = [], dict.fromkeys(TROUBLES, 0)
    for word in words.split():
        trouble, equals, count = word.partition("=")
        if equals:
            assert trouble in budget, f"{name}: no trouble is called {trouble}"
            budget[trouble] = int(count)
        else:
            shape.append(word)
    setup, _, programs = doing.rpartition("/")
    programs = tuple(_program(text) for text in programs.split(";"))
    setup = _program(setup) if setup.strip() else ()
    config = configured(shape, programs, budget)
    return Scenario(
        name, config, _tagged(setup, config), tuple(_tagged(p, config) for p in programs), budget
    )


def configured(shape, programs, budget):
    """What operations have to know in a scenario of this shape."""
    fields = {"arguments": ((), ()), "results": ((), ()), "tags": (), "keys": (0,)}
    fields.update(singleflight=True, page=100)
    for word in shape:
        fields.update(SHAPES[word])
    ages = budget["age"] > 0
    return Config(
        ages=ages,
        new_age=FRESH if ages else WITHOUT,
        process=_process(programs),
        is_cluster=False,
        **fields,
    )


def _process(programs):
    """The clients of the first one's process: those that join."""
    joining = [
        c for c, program in enumerate(programs) if any(verb[0] == "join" for verb in program)
    ]
    return (0, *joining) if joining else ()


def on_cluster(scenario):
    """The same on a cluster: commands of one batch run in any order, unless they share a slot."""
    config = scenario.config._replace(is_cluster=True)
    return scenario._replace(name=f"{scenario.name} (cluster)", config=config)


def with_trouble(scenario, **most):
    """The same with at most so much of each trouble."""
    budget = {name: min(count, most.get(name, count)) for name, count in scenario.budget.items()}
    return scenario._replace(budget=budget)


def _program(text):
    return tuple(_operation(words.split()) for words in text.split(","))


def _operation(words):
    verb, rest = words[0], words[1:]
    if verb in _OUTCOMES:
        return ("call", KEYS[rest[0]], _OUTCOMES[verb])
    if verb == "invalidate":
        return (verb, tuple(TAGS[t] for t in rest))
    if verb == "clear":
        return (verb,)
    if verb == "tag":
        return (verb, KEYS[rest[0]], tuple(TAGS[t] for t in rest[1:]))
    if verb == "set":
        return (verb, KEYS[rest[0]], () if rest[1:] == ["untagged"] else None)
    assert verb in ("join", "incr", "delete", "expire", "refresh"), f"what is {verb!r}?"
    return (verb, KEYS[rest[0]])


def _tagged(program, config):
    """A ``set`` has the tags of its key, unless the scenario says otherwise."""
    return tuple(
        ("set", k, config.arguments[k] + config.results[k])
        if (verb, tags) == ("set", None)
        else operation
        for operation in program
        for verb, k, tags in [(*operation, None, None)[:3]]
    )
