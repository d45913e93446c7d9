"""What the tests of Redis share.

This folder is no package on purpose: as one it would be called ``redis`` and hide the client of
that name from everybody who imports it here.
"""

from __future__ import annotations

import logging

import pytest

from cachine import _log


@pytest.fixture(params=["sync", "async"])
def door(request):
    """The blocking cache, or the asynchronous one with calls that block."""
    from doors import DOORS  # Late: the tests of the servers need no cache.

    opened = DOORS[request.param]()
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _fresh_log():
    """The log tells everybody once in a while; each test begins with that while over."""
    _log._last.clear()


@pytest.fixture
def lines(caplog):
    """The lines that cachine logged, as they are when this is called."""
    caplog.set_level(logging.DEBUG, logger="cachine")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "cachine"]
