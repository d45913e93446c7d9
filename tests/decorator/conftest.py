"""What the tests of the decorator share beside the clock: a cache, the log, scripts."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cachine import InMemoryCache, _log, _read_through

import cachine

from .crowd import eventually


@pytest.fixture
def cache():
    return InMemoryCache()


@pytest.fixture(autouse=True)
def _nothing_left():
    """Whatever a test does to a computation, nothing of it is left when everybody has gone."""
    yield
    eventually(lambda: not _read_through.leaders, "no computation is under way")
    assert not _read_through.tasks


@pytest.fixture(autouse=True)
def _fresh_log():
    """The log tells everybody once in a while; each test begins with that while over."""
    _log._last.clear()


@pytest.fixture
def lines(caplog):
    """The lines that cachine logged, as they are when this is called."""
    caplog.set_level(logging.WARNING, logger="cachine")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "cachine"]


@pytest.fixture
def script(tmp_path):
    """Run a script in an interpreter of its own; what it wrote.

    Unlike a program that is given as text it has a file, a name and an environment.
    """

    def run(text, *arguments, name="script.py", options=(), code=0, **environment):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        package = Path(cachine.__file__).absolute().parent.parent
        paths = [str(package), str(Path(__file__).parent)]
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", *(options or [str(path)]), *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == code, f"exit code {done.returncode}, not {code}:\n{done.stdout}"
        return done.stdout

    return run
