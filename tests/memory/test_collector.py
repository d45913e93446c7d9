"""The garbage collector against a store in use: a value that is cached lives."""

import re
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"


def test_no_live_value_is_finalised_while_threads_collections_and_forks_meet(run):
    output = run(PROGRAMS / "collector.py", 4)
    counts = re.search(r"(\d+) collections, (\d+) steps", output)
    assert counts is not None, output
    collections, steps = map(int, counts.groups())
    assert collections > 20, "the collector had no time"
    assert steps > 1000, "the threads had no time"
