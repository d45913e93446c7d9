"""What every test may ask for: a clock to move, and programs in an interpreter of their own.

No test sleeps to pass time. A test that needs time to pass takes ``clock``: every cache it makes
then reads that clock, and the clock moves when the test says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import cachine
from cachine import _core

from servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Where the package under test was found: a program of its own finds the same one.
PACKAGE = str(Path(cachine.__file__).absolute().parent.parent)

#: A program that takes longer hangs; shorter than the limit of a test, so that it is ended and
#: its output shown.
LONGEST = 45.0

#: The passwords of the default user and of the user ``app`` of ``redis_secured``.
SECRETS = ("correct-horse-battery", "staple-tr0ub4dor")


@pytest.fixture
def clock() -> Iterator[Any]:
    """A clock that stands still until it is moved, read by every cache of the test."""
    fake = _core.FakeClock()
    fake.install()
    yield fake
    fake.uninstall()


@pytest.fixture
def run() -> Callable[..., str]:
    """Run a program, a path or source text, in an interpreter of its own; return its output.

    A program that ends with another code than the expected one fails the test and shows what it
    wrote.
    """
    return _run


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """A plain server that all tests share: what a test needs of it is a namespace or a database."""
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def redis_secured() -> Iterator[Server]:
    """A server with a password and with the user ``app``, who has another one, :data:`SECRETS`."""
    password, other = SECRETS
    with Server(password=password, users=[f"app on >{other} ~app:* +@all"]) as server:
        yield server


@pytest.fixture(scope="session")
def redis_tls() -> Iterator[Server]:
    """A server whose port speaks TLS, with certificates made for this run."""
    with Server(tls=True) as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[Server]:
    """A server of the test's own, to be frozen, killed and started again."""
    with Server() as server:
        yield server


def _run(program: Path | str, *arguments: object, code: int = 0) -> str:
    command = [sys.executable, "-X", "faulthandler", "-X", "dev"]
    command += [str(program)] if isinstance(program, Path) else ["-c", program]
    environment = {**os.environ, "PYTHONPATH": PACKAGE, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LONGEST,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"exit code {done.returncode}, not {code}:\n{done.stdout}"
    return done.stdout
