"""Explores every scenario, every damaged protocol, random walks: ``python -m protocol``.

A number after it says how many random walks; 100,000 if there is none.
"""

import random
import sys
import time

from . import locks, mutations_of_endings  # noqa: F401  (adds its mutations)
from .cluster import UNAWAITED, OnCluster
from .explorer import explore, walk
from .invariants import Violation
from .mutations import ALL
from .random_scenarios import random_scenario
from .reports import told
from .runs import Run
from .scenarios import TROUBLES, on_cluster, read, with_trouble

#: A damaged protocol is given up after so many states.
PATIENCE = 200_000
#: What fits into 2 GB. A line says "part" where there is more.
MOST = 1_500_000
#: On a cluster there are many more orders: so many states of each scenario.
CLUSTER = 300_000


def main(walks):
    """Run everything; how much failed."""
    started = time.monotonic()
    failures = _scenarios() + _cluster() + _mutations() + _locks() + _walks(walks)
    print(f"{failures} failures, {time.monotonic() - started:.0f} s")
    return failures


def _scenarios():
    states = transitions = failures = 0
    for name, scenario in read().items():
        failures += _explored(name, Run(scenario), MOST)
        states, transitions = states + _last.states, transitions + _last.transitions
    print(f"every scenario: {states} states, {transitions} transitions")
    return failures


def _cluster():
    failures = 0
    for scenario in map(on_cluster, read().values()):
        less = with_trouble(scenario, crash=1, drop=1)
        failures += _explored(less.name, Run(less, OnCluster), CLUSTER)
    return failures


def _mutations():
    scenarios, failures = read(), 0
    runs = [(p, scenarios[s], b) for p, s, b in ALL.values()]
    for protocol, scenario, breaks in UNAWAITED:
        less = with_trouble(scenarios[scenario], crash=1, drop=1)
        runs.append((protocol, on_cluster(less), breaks))
    for protocol, scenario, breaks in runs:
        found = explore(Run(scenario, protocol), True, PATIENCE, breaks).found
        failures += not breaks & set(found)
        ways = ", ".join(f"{number} after {len(way)} moves" for number, (_, way) in found.items())
        print(f"{protocol.__name__:26} breaks {ways or 'NOTHING'} in {scenario.name!r}", flush=True)
    return failures


def _locks():
    failures = 0
    for model in (locks.Locks(), locks.Locks(clients=3, turns=1, restarts=0)):
        failures += _explored("locks", model, None)
    for damaged, broken in locks.DAMAGED:
        model = damaged(restarts=int(broken == 2))
        found = explore(model, wanted=frozenset([broken])).found
        failures += broken not in found
        print(f"{damaged.__name__:26} breaks {sorted(found) or 'NOTHING'}", flush=True)
    return failures


def _walks(wanted):
    generator, walks, moves, failures = random.Random(1), 0, 0, 0
    while walks < wanted:
        run = Run(random_scenario(generator))
        for _ in range(20):
            path = []
            try:
                walk(run, generator, TROUBLES, path)
            except Violation as violation:
                failures += 1
                print(f"walk: invariant {violation}", run.config, run.programs, sep="\n")
                print("\n".join(told(run, path)))
            walks, moves = walks + 1, moves + len(path)
    print(f"{walks} random walks, {moves} moves")
    return failures


_last = None


def _explored(name, run, most):
    global _last
    started = time.monotonic()
    _last = explore(run, most=most)
    seconds = time.monotonic() - started
    outcome = "part " if most is not None and _last.states >= most else ""
    outcome += "ok" if not _last.found else "BROKEN"
    numbers = f"{_last.states:9} states {_last.transitions:9} transitions {seconds:6.1f} s"
    print(f"{name:34} {numbers} {outcome}", flush=True)
    for number, (text, path) in _last.found.items():
        print(f"invariant {number}: {text}", *told(run, path), sep="\n")
    return len(_last.found)


if __name__ == "__main__":
    raise SystemExit(1 if main(int((sys.argv + ["100000"])[1])) else 0)
